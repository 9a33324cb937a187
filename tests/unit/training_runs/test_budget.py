"""How often a run may lose its worker."""

from collections.abc import Callable
from typing import Any

import pytest

from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kit.clock import now
from tests.unit.training_runs.conftest import Worker

Body = dict[str, Any]
MOST = 3
LOST = {"code": "worker_lost", "message": "m", "param": None, "category": "server"}


def crash(worker: Worker, run_id: str, reached: int | None) -> str:
    """One attempt that publishes the checkpoint of a step and then comes to nothing; returns the job's state."""
    job = worker.claim(run_id)
    if reached is not None:
        worker.checkpoint(run_id, reached)
    with worker.database.write() as session:
        back = jobs.release(session, job.id, job.attempt, MOST, LOST)
        assert back is not None
        back.available_at = now(-1)  # nobody waits for the backoff here
        return back.state


class TestForgiven:
    def test_each_further_checkpoint_makes_the_budget_whole(self, post: Callable[..., Body], worker: Worker) -> None:
        run = post()
        for attempt in range(1, 11):
            assert crash(worker, run["id"], reached=attempt) == JobState.queued

    @pytest.mark.parametrize("reached", [None, 0, 5])
    def test_without_a_further_step_it_is_dead_soon(
        self, post: Callable[..., Body], worker: Worker, reached: int | None
    ) -> None:
        run = post()
        states = [crash(worker, run["id"], reached) for _ in range(MOST)]
        assert states == [JobState.queued, JobState.queued, JobState.dead]

    def test_a_lost_attempt_forgives_nothing(self, post: Callable[..., Body], worker: Worker) -> None:
        run = post()
        job = worker.claim(run["id"])
        with worker.database.write() as session:
            jobs.release(session, job.id, job.attempt, MOST, LOST)
            jobs.forgive(session, job.id, job.attempt)
        with worker.database.read() as session:
            found = jobs.get(session, job.id)
        assert found is not None
        assert found.failures == 1
