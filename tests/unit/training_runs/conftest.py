"""Training runs on the API's side; no worker runs here, `worker` does what one would."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.kinds import settle
from service.kit.database import Database
from service.training_runs import job as training_runs
from service.training_runs import repository as runs

Body = dict[str, Any]

RESULT: Body = {
    "baseline": 0.25,
    "gap": {"value": 0.3, "se": 0.03, "student": 0.25, "self_teacher": 0.55, "problems": 16, "rollouts": 2},
    "improvement": {"value": 0.28, "se": 0.04},
    "best": {"step": 10, "improvement": {"value": 0.31, "se": 0.04}, "held_out": {"value": 0.1, "se": 0.06}},
    "held_out": {"baseline": 0.2, "improvement": {"value": 0.05, "se": 0.06}, "problems": 8},
    "cov": 0.0004,
    "collapsed": False,
    "stopped_by": "steps",
    "steps": 20,
    "evaluations": [{"step": 10, "accuracy": 0.56, "improvement": {"value": 0.31, "se": 0.04}, "held_out": None}],
    "warnings": [{"code": "slow", "message": "It was slow."}],
    "cost": {"seconds": 12.5, "steps": 20, "gpu_hours": 0.0, "rollouts": 2560, "tokens": 20480},
    "versions": {"engine": "transformers"},
    "artifact": {"path": "/models/run", "kind": "full", "step": 20, "revision": "sha256:" + "a" * 64, "bytes": 7},
    "counts": {"before": [1] * 16, "context": [1] * 16, "after": [1] * 16},
    "problem_ids": [f"train-{number}" for number in range(16)],
}


class Worker:
    """Does in the database what a worker does with a run."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def job_of(self, run_id: str) -> str:
        with self.database.read() as session:
            return runs.by_id(session, run_id).job_id

    def claim(self, run_id: str) -> Job:
        with self.database.write() as session:
            job = jobs.claim(session, self.job_of(run_id), "test", 60)
        assert job is not None
        return job

    def tell(self, run_id: str, partial: Body) -> None:
        with self.database.write() as session:
            runs.store_partial(session, run_id, partial)

    def checkpoint(self, run_id: str, step: int) -> None:
        with self.database.write() as session:
            job = jobs.get(session, self.job_of(run_id))
            assert job is not None
            told = {"step": step, "path": f"/data/{job.attempt}/step_{step}", "bytes": 100 + step, "sha256": "f" * 64}
            training_runs.publish_checkpoint(session, job, told)

    def end(self, run_id: str, state: JobState = JobState.succeeded, result: Body | None = None) -> None:
        """End a claimed run."""
        error = {"code": "e", "message": "m", "param": None, "category": "user"} if state == JobState.failed else None
        with self.database.write() as session:
            job = jobs.get(session, self.job_of(run_id))
            assert job is not None
            ended = jobs.finish(session, job.id, job.attempt, state, error)
            assert ended is not None
            if state == JobState.succeeded:
                training_runs.end(session, ended, RESULT | (result or {}))
            settle(session, ended)

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
    return configuration | {"recipe": {"steps": 20}, "training": {"held_out_problems": 8}}


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
