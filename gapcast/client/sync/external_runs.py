# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.external_runs`: runs that other programs train, forecast look by look."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from gapcast.client.fields import ExternalRunFields, ExternalRunFilters, Json, Order, RunEndFields
from gapcast.client.requests import MOST_A_PAGE, body_of, query_of, segment
from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.contract.external_runs import ExternalRunRequest, RunEnd
from gapcast.contract.forecasts import GivenLook
from gapcast.models import ExternalRun

ALL = "/v1/external_runs"


class ExternalRuns(Resource):
    """External runs: `/v1/external_runs`."""

    def create(
        self,
        request: ExternalRunRequest | Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[ExternalRunFields],
    ) -> ExternalRun:
        """Begin to report a run; one with a known `external_id` is that run again.

        A post whose answer is lost is repeated under the same `idempotency_key`, so it takes effect at most once.

        Args:
            request: the body of `POST /v1/external_runs`; it may also be given field by field.
            idempotency_key: names this post; None: a fresh one.
            fields: of the request, in place of those in `request`.

        Raises:
            Conflict: another run has this `external_id`.
            InvalidRequest: a field does not fit; `param` and `errors` name it.
            GapcastError: the server refused, or no answer came.
        """
        return self._connection.post(ExternalRun, ALL, request, fields, idempotency_key=idempotency_key)

    def get(self, run_id: str) -> ExternalRun:
        """Read a run with its forecast and with what its rule says."""
        return self._connection.get(ExternalRun, _path(run_id))

    def look(self, run_id: str, step: int, value: float, *, se: float | None = None, **more: int | str) -> ExternalRun:
        """Append one look, and read the forecast and what the rule says; the same look again changes nothing.

        Args:
            run_id: the run.
            step: optimizer steps done.
            value: accuracy at this step, a share.
            se: its standard error over rollouts; None: assumed from the run's `evaluation`.
            more: `problems` and `fingerprint` of the problems that it was measured on.

        Raises:
            InvalidRequest: it is out of order, beyond the last step, or on other problems.
            Conflict: the run has ended, or the step is stored with another value.
            GapcastError: the server refused, or no answer came.
        """
        look = {"step": step, "value": value, "se": se, **more}
        return self.append(run_id, [{name: part for name, part in look.items() if part is not None}])

    def append(self, run_id: str, looks: Sequence[GivenLook | Json]) -> ExternalRun:
        """Append looks in order of step; raises as `look` does."""
        sent = body_of({"looks": list(looks)}, {})
        answer = self._connection.send("POST", f"{_path(run_id)}/looks", repeatable=True, json=sent)
        return self._connection.read(ExternalRun, answer)

    def end(
        self, run_id: str, end: RunEnd | Mapping[str, Any] | None = None, **fields: Unpack[RunEndFields]
    ) -> ExternalRun:
        """End a run: its last look is its outcome, and an observation with its curve is stored.

        Args:
            run_id: the run.
            end: the body of `POST /v1/external_runs/{id}/end`; it may also be given field by field.
            fields: of the body, in place of those in `end`.

        Raises:
            Conflict: it has ended, or was not looked at at its last step; send `stopped=True` if it ended before.
            InvalidRequest: an observation needs more than is known of it.
            GapcastError: the server refused, or no answer came.
        """
        return self._connection.act(ExternalRun, "POST", f"{_path(run_id)}/end", body_of(end, fields))

    def cancel(self, run_id: str) -> ExternalRun:
        """End a run without an observation; its looks are kept."""
        return self._connection.act(ExternalRun, "POST", f"{_path(run_id)}/cancel")

    def delete(self, run_id: str) -> None:
        """Remove a run that has ended, with its looks; its observation stays."""
        self._connection.send("DELETE", _path(run_id), repeatable=False)

    def list(
        self,
        *,
        limit: int = MOST_A_PAGE,
        after: str | None = None,
        order: Order = "desc",
        **filters: Unpack[ExternalRunFilters],
    ) -> Page[ExternalRun]:
        """List runs, newest first, without their forecasts; iterate over the page to read all.

        Args:
            limit: how many on a page, at most 100.
            after: the id after which the page begins.
            order: by time of creation.
            filters: which runs.

        Raises:
            GapcastError: the server refused, or no answer came.
            TypeError: the filter does not exist.
        """
        query = query_of(ExternalRunFilters, filters)
        return self._connection.page(ExternalRun, ALL, {**query, "limit": limit, "after": after, "order": order})


def _path(run_id: str) -> str:
    return f"{ALL}/{segment(run_id)}"
