"""The client's calls for probes: measurements of gaps."""

from collections.abc import Iterator, Mapping
from typing import Any

from gapcast.connection import Connection, segment, waiting
from gapcast.models import Event, Probe
from gapcast.reading import read


class ProbeCalls(Connection):
    """What a client asks of `/v1/probes`."""

    def create_probe(
        self, configuration: Mapping[str, Any], *, wait: float = 0, idempotency_key: str | None = None
    ) -> Probe:
        """Have a gap measured (the body of `POST /v1/probes`); waits up to `wait` seconds (at most 60).

        What was measured before is answered at once, and what is being measured is joined. A post whose answer is lost
        on the way is repeated once under the same `idempotency_key`, a fresh one unless given.
        """
        answer = self.post_safely(
            "/v1/probes", idempotency_key=idempotency_key, headers=waiting(wait), json=dict(configuration)
        )
        return read(Probe, answer)

    def get_probe(self, probe_id: str, *, wait: float = 0) -> Probe:
        """Read a probe, once it has ended or after `wait` seconds (at most 60)."""
        return read(Probe, self.request("GET", f"/v1/probes/{segment(probe_id)}", headers=waiting(wait)))

    def list_probes(self, limit: int = 20, after: str | None = None) -> list[Probe]:
        """Read up to `limit` probes, newest first; counts and ids of problems are left out.

        Args:
            limit: how many; more than 100 in several requests.
            after: the id after which they begin: the last one of the call before.
        """
        return list(self.listed(Probe, "/v1/probes", {}, limit, after))

    def cancel_probe(self, probe_id: str) -> Probe:
        """Cancel a probe that has not ended, with every prediction that waits for it; `partial` keeps what is known."""
        return read(Probe, self.request("POST", f"/v1/probes/{segment(probe_id)}/cancel"))

    def probe_events(self, probe_id: str) -> Iterator[Event]:
        """Follow a probe's events until it has ended; a broken connection is taken up again where it broke.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        return self.stream_events(f"/v1/probes/{segment(probe_id)}/events")
