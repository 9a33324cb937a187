# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.probes`: measurements of gaps."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Unpack

from gapcast.client.fields import ImportedProbeFields, Order, ProbeFields, ProbeFilters, SampleFilters, SizeFields
from gapcast.client.files import replacing
from gapcast.client.requests import MOST_A_PAGE, body_of, query_of, segment
from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.contract.imported_probes import ImportedProbe
from gapcast.contract.probes import ProbeRequest
from gapcast.contract.samples import SampleShape
from gapcast.contract.sizing import SizeRequest
from gapcast.models import Event, Probe, ProbeSize, Sample, SampleStorage

ALL = "/v1/probes"
STORAGE = "/v1/sample_storage"


class Probes(Resource):
    """Probes: `/v1/probes`."""

    def create(
        self,
        request: ProbeRequest | Mapping[str, Any] | None = None,
        *,
        wait: float = 0,
        idempotency_key: str | None = None,
        **fields: Unpack[ProbeFields],
    ) -> Probe:
        """Have a gap measured.

        A gap that was measured before is answered at once, and a probe that is under way is joined. A post whose answer
        is lost is repeated under the same `idempotency_key`, so it takes effect at most once.

        Args:
            request: the body of `POST /v1/probes`; it may also be given field by field.
            wait: seconds to wait for the probe to end, at most 60.
            idempotency_key: names this post; None: a fresh one.
            fields: of the request, in place of those in `request`.

        Raises:
            InvalidRequest: a field does not fit; `param` and `errors` name it.
            GapcastError: the server refused, or no answer came.
        """
        return self._connection.post(Probe, ALL, request, fields, idempotency_key=idempotency_key, wait=wait)

    def import_scores(
        self,
        imported: ImportedProbe | Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[ImportedProbeFields],
    ) -> Probe:
        """Store a gap that another harness has measured; the same scores are stored once.

        `gapcast.elsewhere.scores.read_scores` reads what harnesses write.

        Args:
            imported: the body of `POST /v1/probes/import`; it may also be given field by field.
            idempotency_key: names this post; None: a fresh one.
            fields: of the request, in place of those in `imported`.

        Raises:
            InvalidRequest: the evaluations do not pair, or a field does not fit; `param` and `errors` name it.
            GapcastError: the server refused, or no answer came.
        """
        return self._connection.post(Probe, f"{ALL}/import", imported, fields, idempotency_key=idempotency_key)

    def get(self, probe_id: str, *, wait: float = 0) -> Probe:
        """Read a probe, once it has ended or after `wait` seconds (at most 60)."""
        return self._connection.get(Probe, _path(probe_id), wait=wait)

    def list(
        self,
        *,
        limit: int = MOST_A_PAGE,
        after: str | None = None,
        order: Order = "desc",
        **filters: Unpack[ProbeFilters],
    ) -> Page[Probe]:
        """List probes, newest first, without the counts of single problems; iterate over the page to read all.

        Args:
            limit: how many on a page, at most 100.
            after: the id after which the page begins.
            order: by time of creation.
            filters: which probes.

        Raises:
            GapcastError: the server refused, or no answer came.
            TypeError: the filter does not exist.
        """
        query = query_of(ProbeFilters, filters)
        return self._connection.page(Probe, ALL, {**query, "limit": limit, "after": after, "order": order})

    def cancel(self, probe_id: str) -> Probe:
        """Cancel a probe that has not ended, with every prediction that waits for it; `partial` keeps what is known."""
        return self._connection.act(Probe, "POST", f"{_path(probe_id)}/cancel")

    def events(self, probe_id: str) -> Iterator[Event]:
        """Follow a probe's events until it has ended; a broken connection is taken up again where it broke.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        return self._connection.follow(f"{_path(probe_id)}/events")

    def samples(
        self,
        probe_id: str,
        *,
        limit: int = MOST_A_PAGE,
        after: str | None = None,
        order: Order = "asc",
        **filters: Unpack[SampleFilters],
    ) -> Page[Sample]:
        """List the stored rollouts of a probe, problem by problem; iterate over the page to read all.

        Args:
            probe_id: of the probe.
            limit: how many on a page, at most 100.
            after: the id after which the page begins.
            order: by the order in which the problems were drawn.
            filters: which samples.

        Raises:
            GapcastError: the server refused, or no answer came.
            TypeError: the filter does not exist.
        """
        query = {**query_of(SampleFilters, filters), "limit": limit, "after": after, "order": order}
        return self._connection.page(Sample, f"{_path(probe_id)}/samples", query)

    def export_samples(
        self,
        probe_id: str,
        path: str | os.PathLike[str],
        format: SampleShape = "ndjson",
        **filters: Unpack[SampleFilters],
    ) -> Path:
        """Write the stored rollouts of a probe to a file of JSON lines, there whole or not at all.

        Args:
            probe_id: of the probe.
            path: where to; a file that is there is replaced.
            format: `ndjson` as the API has them, or the shape of `lm-eval` (`samples_*.jsonl`) or `verifiers`
                (`traces.jsonl`), which take the `arm`.
            filters: which samples.

        Returns:
            The path, links resolved.

        Raises:
            GapcastError: the server refused, no answer came, or it broke off.
            TypeError: the filter does not exist.
            OSError: the file cannot be written.
        """
        query = {**query_of(SampleFilters, filters), "format": format}
        target = Path(path).resolve()
        with replacing(target) as file:
            for piece in self._connection.download(f"{_path(probe_id)}/samples/export", query):
                file.write(piece)
        return target

    def sample_storage(self) -> SampleStorage:
        """Read whether the rollouts of your probes are stored, how many are, and the bounds of one probe."""
        return self._connection.get(SampleStorage, STORAGE)

    def set_sample_storage(self, *, store: bool) -> SampleStorage:
        """Choose whether the rollouts of your probes are stored; False also deletes those that are."""
        return self._connection.act(SampleStorage, "PUT", STORAGE, {"store": store})

    def size(self, request: SizeRequest | Mapping[str, Any] | None = None, **fields: Unpack[SizeFields]) -> ProbeSize:
        """Ask for the cheapest probe whose prediction is as narrow as wanted.

        Args:
            request: the body of `POST /v1/probes/size`: at least `model`, `task` and `target_half_width`, a share (0.05
                is 5 accuracy points). It may also be given field by field.
            fields: of the request, in place of those in `request`.

        Returns:
            The size; `problems` and `rollouts` are None, and `message` says why, where no probe reaches the target.
        """
        return self._connection.act(ProbeSize, "POST", f"{ALL}/size", body_of(request, fields))


def _path(probe_id: str) -> str:
    return f"{ALL}/{segment(probe_id)}"
