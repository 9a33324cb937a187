"""`client.training_runs`: full OPSD runs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Unpack

from gapcast.client.aio.page import AsyncPage
from gapcast.client.aio.resource import Resource
from gapcast.client.fields import Order, TrainingRunFields, TrainingRunFilters
from gapcast.client.requests import MOST_A_PAGE, body_of, query_of, segment
from gapcast.contract.events import TrainingRunHeld
from gapcast.contract.training import TrainingRunRequest
from gapcast.models import TERMINAL, Checkpoint, Event, Forecast, TrainingRun

ALL = "/v1/training_runs"
Runs = list[TrainingRun]
"""has a name here because `list` is a method of the resource"""
ENDS = frozenset(f"training_run.{status}" for status in TERMINAL)
"""the type of a run's last event"""
RESTS = frozenset({TrainingRunHeld.type})
"""the type of the newest event of a run that has put itself aside"""


class TrainingRuns(Resource):
    """Training runs: `/v1/training_runs`."""

    async def create(
        self,
        request: TrainingRunRequest | Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[TrainingRunFields],
    ) -> TrainingRun:
        """Queue one run: of a prediction's configuration (`prediction_id`), or of one that is sent.

        A post whose answer is lost is repeated under the same `idempotency_key`, so it takes effect at most once.

        Args:
            request: the body of `POST /v1/training_runs`; it may also be given field by field.
            idempotency_key: names this post; None: a fresh one.
            fields: of the request, in place of those in `request`.

        Raises:
            Conflict: this configuration was trained with this seed, or is (`duplicate_run`).
            InvalidRequest: a field does not fit; `param` and `errors` name it.
            GapcastError: the server refused, or no answer came.
            ValueError: the request asks for several seeds.
        """
        body = body_of(request, fields)
        seeds = body.get("seeds")
        if isinstance(seeds, Sequence) and len(seeds) > 1:
            raise ValueError(f"seeds: expected one seed, got {len(seeds)}. Queue several together with create_group.")
        (run,) = await self.create_group(body, idempotency_key=idempotency_key)
        return run

    async def create_group(
        self,
        request: TrainingRunRequest | Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[TrainingRunFields],
    ) -> Runs:
        """Queue one run for each of the `seeds`, all of them or none; several are a group.

        Args:
            request: the body of `POST /v1/training_runs`; it may also be given field by field.
            idempotency_key: names this post; None: a fresh one.
            fields: of the request, in place of those in `request`.

        Raises:
            Conflict: this configuration was trained with one of these seeds, or is (`duplicate_run`): the very same
                samples would count twice.
            InvalidRequest: a field does not fit; `param` and `errors` name it.
            GapcastError: the server refused, or no answer came.
        """
        answer = await self._connection.create(ALL, idempotency_key, {}, json=body_of(request, fields))
        made = answer["data"] if answer["object"] == "list" else [answer]
        return [self._connection.read(TrainingRun, run) for run in made]

    async def get(self, run_id: str, *, wait: float = 0) -> TrainingRun:
        """Read a run, once it does not go on by itself or after `wait` seconds (at most 60)."""
        return await self._connection.get(TrainingRun, _path(run_id), wait=wait)

    async def list(
        self,
        *,
        limit: int = MOST_A_PAGE,
        after: str | None = None,
        order: Order = "desc",
        **filters: Unpack[TrainingRunFilters],
    ) -> AsyncPage[TrainingRun]:
        """List runs, newest first, without their evaluations; iterate over the page to read all.

        Args:
            limit: how many on a page, at most 100.
            after: the id after which the page begins.
            order: by time of creation.
            filters: which runs.

        Raises:
            GapcastError: the server refused, or no answer came.
            TypeError: the filter does not exist.
        """
        query = query_of(TrainingRunFilters, filters)
        return await self._connection.page(TrainingRun, ALL, {**query, "limit": limit, "after": after, "order": order})

    async def forecast(self, run_id: str) -> Forecast:
        """Read where a run is expected to end, now and after each of its evaluations so far.

        Raises:
            Conflict: it has not been evaluated yet (`no_looks`).
            GapcastError: the server refused, or no answer came.
        """
        return await self._connection.get(Forecast, f"{_path(run_id)}/forecast")

    async def pause(self, run_id: str) -> TrainingRun:
        """Stop a run at its next step with a checkpoint; the worker is free for others until it is resumed."""
        return await self._connection.act(TrainingRun, "POST", f"{_path(run_id)}/pause")

    async def resume(self, run_id: str) -> TrainingRun:
        """Queue a paused run again; it goes on from its newest checkpoint, and to its end if it put itself aside."""
        return await self._connection.act(TrainingRun, "POST", f"{_path(run_id)}/resume")

    async def cancel(self, run_id: str) -> TrainingRun:
        """Cancel a run that has not ended, for good: it yields no observation, and its checkpoints are removed."""
        return await self._connection.act(TrainingRun, "POST", f"{_path(run_id)}/cancel")

    async def checkpoints(
        self, run_id: str, *, limit: int = MOST_A_PAGE, after: str | None = None, order: Order = "desc"
    ) -> AsyncPage[Checkpoint]:
        """List the checkpoints that a run has published, newest first; iterate over the page to read all.

        Args:
            run_id: the run.
            limit: how many on a page, at most 100.
            after: the id after which the page begins.
            order: by time of creation.
        """
        query = {"limit": limit, "after": after, "order": order}
        return await self._connection.page(Checkpoint, f"{_path(run_id)}/checkpoints", query)

    def events(self, run_id: str) -> AsyncIterator[Event]:
        """Follow a run's events until it has ended; a broken connection is taken up again where it broke.

        A paused run has not ended: its events go on when it is resumed. One that has put itself aside, after its pilot
        or because a rule has stopped it, ends them until then.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        return self._connection.follow(f"{_path(run_id)}/events")

    async def follow(self, run_ids: Sequence[str]) -> AsyncIterator[tuple[str, Event]]:
        """Follow the events of several runs as they come, each with its run's id, until none goes on by itself.

        A run that has put itself aside, after its pilot or because a rule has stopped it, does not.

        Raises:
            GapcastError: the server refused one of them, or was away for 30 seconds.
        """
        paths = {run_id: f"{_path(run_id)}/events" for run_id in run_ids}
        async for run_id, event in self._connection.follow_all(paths, ENDS, RESTS):
            yield run_id, event


def _path(run_id: str) -> str:
    return f"{ALL}/{segment(run_id)}"
