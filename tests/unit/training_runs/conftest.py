"""Training runs on the API's side; no worker runs here, `worker` does what one would."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.events import TrainingCheckpoint
from gapcast.contract.needs import Offer
from gapcast.contract.training_results import Held, TrainingPartial, TrainingResult
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.kinds import settle
from service.kit.database import Database
from service.slots import repository as slots
from service.training_runs import job as training_runs
from service.training_runs import repository as runs
from service.training_runs.job import KIND
from tests.support.training_results import training_result

Body = dict[str, Any]

RESULT: Body = training_result().model_dump(mode="json")


class Worker:
    """Does in the database what a worker does with a run."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def job_of(self, run_id: str) -> str:
        with self.database.read() as session:
            return runs.by_id(session, run_id).job_id

    def shows_itself(self) -> None:
        with self.database.write() as session:
            slots.sign(session, "test", ["training"], 1, Offer())

    def claim(self, run_id: str) -> Job:
        with self.database.write() as session:
            job = jobs.claim(session, self.job_of(run_id), "test", 60)
        assert job is not None
        return job

    def tell(self, run_id: str, partial: TrainingPartial) -> None:
        with self.database.write() as session:
            runs.store_partial(session, run_id, partial.model_dump(mode="json"))

    def checkpoint(self, run_id: str, step: int) -> None:
        with self.database.write() as session:
            job = jobs.get(session, self.job_of(run_id))
            assert job is not None
            path = f"/data/{job.attempt}/step_{step}"
            written = TrainingCheckpoint(step=step, path=path, bytes=100 + step, sha256="f" * 64)
            training_runs.publish_checkpoint(session, job, written.written())

    def end(self, run_id: str, state: JobState = JobState.succeeded, result: TrainingResult | None = None) -> None:
        """End a claimed run."""
        error = {"code": "e", "message": "m", "param": None, "category": "user"} if state == JobState.failed else None
        with self.database.write() as session:
            job = jobs.get(session, self.job_of(run_id))
            assert job is not None
            ended = jobs.finish(session, job.id, job.attempt, state, error)
            assert ended is not None
            if state == JobState.succeeded:
                training_runs.end(session, ended, (result or training_result()).model_dump(mode="json"))
            settle(session, ended)

    def hold(self, run_id: str, held: Held) -> None:
        """Put a claimed run aside, as its child asks for it."""
        with self.database.write() as session:
            job = jobs.get(session, self.job_of(run_id))
            assert job is not None
            back = jobs.hand_back(session, job.id, job.attempt, hold=True)
            assert back is not None
            assert back.state == "paused"
            KIND.hold(session, back, held.model_dump(mode="json"))

    def hand_back(self, run_id: str) -> str:
        with self.database.write() as session:
            job = jobs.get(session, self.job_of(run_id))
            assert job is not None
            back = jobs.hand_back(session, job.id, job.attempt)
            assert back is not None
            return back.state


@pytest.fixture
def worker(client: TestClient) -> Worker:
    return Worker(client.app.state.gapcast.database)  # type: ignore[attr-defined]


@pytest.fixture
def asked(configuration: Body) -> Body:
    """A small whole run."""
    training = {"problems": 16, "held_out_problems": 8}
    return configuration | {"probe": {"rollouts": 2}, "recipe": {"steps": 20}, "training": training}


@pytest.fixture
def post(client: TestClient, asked: Body) -> Callable[..., Body]:
    """Ask for a run; anything can be changed."""

    def posted(**change: Any) -> Body:
        answer = client.post("/v1/training_runs", json=asked | change)
        assert answer.status_code == 202, answer.text
        made: Body = answer.json()
        return made

    return posted


@pytest.fixture
def prediction(client: TestClient, configuration: Body) -> Body:
    """An answered prediction, from a gap that was measured elsewhere."""
    del configuration["probe"]
    body = configuration | {"gap": {"value": 0.3, "se": 0.03, "student": 0.25}, "pool": "lab"}
    answer = client.post("/v1/predictions", json=body)
    assert answer.status_code == 200
    made: Body = answer.json()
    return made
