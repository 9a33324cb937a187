"""GET /v1/workers: who takes jobs, what they run, and how many wait."""

from fastapi.testclient import TestClient

from gapcast.contract.needs import Offer
from service.jobs import repository as jobs
from service.kit.database import Database
from service.slots import repository as slots


def add(database: Database, tenant: str = "local") -> str:
    with database.write() as session:
        return jobs.add(session, tenant=tenant, kind="probe", queue="probes", subject_id=f"probe_of_{tenant}").id


def test_workers_their_jobs_and_the_depth_of_their_queues(client: TestClient) -> None:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    assert client.get("/v1/workers").json() == {"object": "list", "data": [], "has_more": False}
    with database.write() as session:
        slots.sign(session, "a:1", ["probes", "training"], 2, Offer())
        slots.sign(session, "b:2", ["training"], 1, Offer())
    mine, foreign = add(database), add(database, "other")
    add(database)
    with database.write() as session:
        for job_id in (mine, foreign):
            assert jobs.claim(session, job_id, "a:1", 60) is not None
    first, second = client.get("/v1/workers").json()["data"]
    assert first["queues"] == [
        {"queue": "probes", "slots": 2, "queued": 1},
        {"queue": "training", "slots": 2, "queued": 0},
    ]
    assert [(job["id"], job["kind"]) for job in first["jobs"]] == [("probe_of_local", "probe"), (None, "probe")]
    assert 0 <= first["seen_seconds"] < 20
    assert (second["name"], second["jobs"]) == ("b:2", [])


def test_a_worker_that_is_gone_is_not_listed(client: TestClient) -> None:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    with database.write() as session:
        slots.sign(session, "a:1", ["probes"], 1, Offer())
        slots.forget(session, "a:1")
    assert client.get("/v1/workers").json()["data"] == []
