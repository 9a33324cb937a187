"""Recommendations asked of an application, and what a worker would do with the runs that they start."""

from typing import Any

from fastapi.testclient import TestClient

from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kinds import settle
from service.kit.database import Database
from service.recommendations.executing import go_on
from service.training_runs import job as training_runs
from service.training_runs import repository as runs
from tests.support.training_results import training_result

Body = dict[str, Any]

CONTEXTS = {"all": {"kind": "hints"}, "peer": {"kind": "peer_solution"}, "talk": {"kind": "feedback"}}
DEAR: Body = {"cost": {"seconds_per_rollout": 1e5}}
"""rollouts: with a limit of hours nothing is probed"""
HOURS = {"gpu_hours": 1.0}


def asked(**more: Any) -> Body:
    if "vary" in more:
        return more
    base = {"model": "lab/addition-qwen3-s", "task": "lab/addition"} | more.pop("base", {})
    return {"base": base, "vary": {"context": CONTEXTS}} | more


def created(client: TestClient, status: int = 201, **more: Any) -> Body:
    answer = client.post("/v1/recommendations", json=asked(**more))
    assert answer.status_code == status, answer.text
    body: Body = answer.json()
    return body


def database_of(client: TestClient) -> Database:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    return database


def end(client: TestClient, run_id: str, state: JobState = JobState.succeeded, **result: Any) -> None:
    """End a run as a worker does, and let a reconciler look."""
    error = {"code": "e", "message": "m", "param": None, "category": "user"} if state == JobState.failed else None
    with database_of(client).write() as session:
        job = jobs.claim(session, runs.by_id(session, run_id).job_id, "test", 60)
        assert job is not None
        ended = jobs.finish(session, job.id, job.attempt, state, error)
        assert ended is not None
        if state == JobState.succeeded:
            training_runs.end(session, ended, training_result(**result).model_dump(mode="json"))
        settle(session, ended)
    look(client)


def look(client: TestClient) -> None:
    go_on(database_of(client), client.app.state.gapcast.settings)  # type: ignore[attr-defined]


def read(client: TestClient, plan: Body) -> Body:
    found: Body = client.get(f"/v1/recommendations/{plan['id']}").json()
    return found
