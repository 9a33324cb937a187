"""GET /v1/workers: who takes jobs, what they run, and how many wait."""

from io import StringIO

from fastapi.testclient import TestClient
from rich.console import Console

from gapcast.cli.printing.lists import print_workers
from gapcast.contract.needs import Offer
from gapcast.contract.workers import WorkerOut
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


def test_the_page_and_the_command_show_what_a_worker_has(client: TestClient) -> None:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    offer = Offer(labels=["gpu"], models=["qwen3-8b"], memory_gb=80)
    with database.write() as session:
        slots.sign(session, "a:1", ["probes"], 1, offer)
    has = "gpu, qwen3-8b, 80 GB"
    assert has in client.get("/workers").text
    console = Console(file=StringIO(), width=200)
    print_workers(console, [WorkerOut.model_validate(one) for one in client.get("/v1/workers").json()["data"]])
    assert has in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_worker_that_is_gone_is_not_listed(client: TestClient) -> None:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    with database.write() as session:
        slots.sign(session, "a:1", ["probes"], 1, Offer())
        slots.forget(session, "a:1")
    assert client.get("/v1/workers").json()["data"] == []
