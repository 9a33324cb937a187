"""The client's calls for training runs: full OPSD runs."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from gapcast.connection import Connection, Query, segment, waiting, without_nones
from gapcast.contract.events import EventPage
from gapcast.models import TERMINAL, Checkpoint, Event, TrainingRun
from gapcast.reading import read

ENDS = frozenset(f"training_run.{status}" for status in TERMINAL)
"""the type of a run's last event"""
LOOK_SECONDS = 1.0
"""between two looks at runs that are followed together: a step takes about as long, and dozens of runs ask little"""
MOST_EVENTS = 500
"""that a server gives at once"""


class RunFilters(TypedDict, total=False):
    """Which runs are meant; what is left out or None does not narrow them."""

    status: str | None
    prediction_id: str | None
    group_id: str | None


class TrainingCalls(Connection):
    """What a client asks of `/v1/training_runs`."""

    def create_training_run(
        self, configuration: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> TrainingRun:
        """Queue one run (the body of `POST /v1/training_runs`): a `prediction_id`, or a whole configuration.

        A post whose answer is lost on the way is repeated once under the same `idempotency_key`, a fresh one unless
        given.

        Raises:
            GapcastError: the server refused, or no answer came.
            ValueError: the configuration asks for several seeds.
        """
        seeds = configuration.get("seeds")
        if isinstance(seeds, Sequence) and len(seeds) > 1:
            raise ValueError(f"seeds: {list(seeds)} are {len(seeds)} runs; create_training_runs queues them together")
        (run,) = self.create_training_runs(configuration, idempotency_key=idempotency_key)
        return run

    def create_training_runs(
        self, configuration: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> list[TrainingRun]:
        """Queue one run for each of the configuration's `seeds`, all of them or none; together they are a group.

        Raises:
            GapcastError: the server refused, or no answer came. The code `duplicate_run` says that one of the seeds is
                running or has succeeded: the very same samples would count twice.
        """
        answer = self.post_safely("/v1/training_runs", idempotency_key=idempotency_key, json=dict(configuration))
        found = answer["data"] if answer["object"] == "list" else [answer]
        return [read(TrainingRun, one) for one in found]

    def get_training_run(self, run_id: str, *, wait: float = 0) -> TrainingRun:
        """Read a run, once it has ended or after `wait` seconds (at most 60)."""
        return read(TrainingRun, self.request("GET", _path(run_id), headers=waiting(wait)))

    def list_training_runs(
        self, limit: int = 20, after: str | None = None, **filters: Unpack[RunFilters]
    ) -> list[TrainingRun]:
        """Read up to `limit` runs, newest first; their evaluations are left out.

        Args:
            limit: how many; more than 100 in several requests.
            after: the id after which they begin: the last one of the call before.
            filters: which runs.
        """
        return list(self.listed(TrainingRun, "/v1/training_runs", _query(filters), limit, after))

    def iterate_training_runs(self, **filters: Unpack[RunFilters]) -> Iterator[TrainingRun]:
        """Read all runs, newest first, page by page as they are asked for; their evaluations are left out."""
        return self.listed(TrainingRun, "/v1/training_runs", _query(filters), sys.maxsize, None)

    def pause_training_run(self, run_id: str) -> TrainingRun:
        """Stop a run at its next step with a checkpoint; the worker is free for others until it is resumed."""
        return read(TrainingRun, self.request("POST", f"{_path(run_id)}/pause"))

    def resume_training_run(self, run_id: str) -> TrainingRun:
        """Queue a paused run again; it goes on from its newest checkpoint."""
        return read(TrainingRun, self.request("POST", f"{_path(run_id)}/resume"))

    def cancel_training_run(self, run_id: str) -> TrainingRun:
        """Cancel a run that has not ended, for good: it yields no observation, and its checkpoints are removed."""
        return read(TrainingRun, self.request("POST", f"{_path(run_id)}/cancel"))

    def list_checkpoints(self, run_id: str) -> list[Checkpoint]:
        """Read the checkpoints that a run has published."""
        return list(self.listed(Checkpoint, f"{_path(run_id)}/checkpoints", {}, sys.maxsize, None))

    def training_events(self, run_id: str) -> Iterator[Event]:
        """Follow a run's events until it has ended; a broken connection is taken up again where it broke.

        A paused run has not ended: whoever follows it waits until it is resumed.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        return self.stream_events(f"{_path(run_id)}/events")

    def follow_training_runs(self, run_ids: Sequence[str]) -> Iterator[tuple[str, Event]]:
        """Follow the events of several runs as they come, each with its run's id, until all have ended.

        Raises:
            GapcastError: the server refused one of them, or was away for 30 seconds.
        """
        last = dict.fromkeys(run_ids, "")
        while last:
            behind = False
            for run_id in run_ids:
                if run_id not in last:
                    continue
                query = {"after": last[run_id], "limit": MOST_EVENTS}
                page = read(EventPage, self.get_patiently(f"{_path(run_id)}/events", query))
                behind |= page.has_more
                for event in page.data:
                    last[run_id] = event.id
                    yield run_id, event
                    if event.type in ENDS:
                        del last[run_id]
            if last and not behind:
                time.sleep(LOOK_SECONDS)


def _path(run_id: str) -> str:
    return f"/v1/training_runs/{segment(run_id)}"


def _query(filters: Mapping[str, Any]) -> Query:
    unknown = sorted(set(filters) - set(RunFilters.__annotations__))
    if unknown:  # the server would ignore it and answer with more than was asked for
        raise TypeError(f"no filter {unknown[0]!r}; there are {', '.join(RunFilters.__annotations__)}")
    return without_nones(filters)
