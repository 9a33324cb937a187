"""An upload is used once its self-check has ended: a real worker's child runs it, and the task keeps what it found."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.kinds import settle
from service.tasks import self_check
from tests.unit.tasks.conftest import Send, lines, problem
from workers.host.supervisor import Supervisor

NAME = "/v1/tasks/mine/maths"
GOOD = [problem(answer=str(number), reference_solution=f"It is {number}.") for number in range(20)]
BAD = [*GOOD[:18], problem(answer="18", reference_solution="It is 19."), problem(answer="19", reference_solution="?")]


def sent(send: Send, rows: list[dict[str, Any]], **query: Any) -> dict[str, Any]:
    answer = send(lines(*rows), **({"accept": None} | query))
    assert answer.status_code in {200, 201}, answer.text
    content: dict[str, Any] = answer.json()
    return content


def job_of(client: TestClient) -> str:
    with client.app.state.gapcast.database.read() as session:  # type: ignore[attr-defined]
        query = "SELECT id FROM jobs WHERE kind = 'check' ORDER BY id DESC LIMIT 1"
        return str(session.connection().exec_driver_sql(query).scalar())


def work(client: TestClient) -> bool:
    state = client.app.state.gapcast  # type: ignore[attr-defined]
    return Supervisor(state.settings, state.database, threading.Event()).run(job_of(client))


def asked(client: TestClient) -> Any:
    body = {"model": {"name": "lab/addition-qwen3-s"}, "task": "mine/maths", "context": {"kind": "reference_solution"}}
    size = {"probe": {"problems": 4}, "decoding": {"max_tokens": 16}}
    return client.post("/v1/probes", json=body | size)


def test_a_task_is_used_once_it_is_checked(client: TestClient, send: Send) -> None:
    task = sent(send, GOOD)
    assert (task["status"], task["self_check"], task["waiting"]["workers"]) == ("checking", None, 0)
    early = asked(client)
    assert (early.status_code, early.json()["code"]) == (422, "unknown_task")
    assert "whose self-check has not ended" in early.json()["detail"]
    assert work(client)
    checked = client.get(NAME).json()
    assert (checked["status"], checked["waiting"], checked["error"]) == ("ready", None, None)
    found = checked["self_check"]
    assert (found["share"], found["checked"], found["faults"]) == (1.0, 20, [])
    assert client.get("/v1/tasks").json()["data"][-1]["self_check"] == found
    assert asked(client).status_code == 202
    again = sent(send, GOOD)
    assert (again["self_check"], again["status"]) == (found, "ready"), "what was checked is not checked again"


def test_a_task_that_does_not_hold_is_refused_and_can_be_accepted(client: TestClient, send: Send) -> None:
    sent(send, BAD)
    work(client)
    refused = client.get(NAME).json()
    (fault,) = refused["self_check"]["faults"]
    assert (refused["status"], refused["self_check"]["share"]) == ("refused", 0.9)
    assert (fault["completion"], fault["problems"], fault["first"]) == ("reference", 2, ["line-19", "line-20"])
    told = asked(client).json()
    assert "which its self-check has refused" in told["detail"]
    accepted = sent(send, BAD, accept="true")
    assert (accepted["status"], accepted["accepted"]) == ("ready", True)
    assert asked(client).status_code == 202
    work(client)
    kept = client.get(NAME).json()
    assert (kept["status"], kept["self_check"]["share"]) == ("ready", 0.9)


def test_a_name_keeps_what_is_ready_while_other_content_is_checked_or_refused(client: TestClient, send: Send) -> None:
    first = sent(send, GOOD)
    work(client)
    second = sent(send, BAD)
    by_revision = client.get(NAME, params={"revision": second["revision"]}).json()
    assert (by_revision["status"], client.get(NAME).json()["revision"]) == ("checking", first["revision"])
    work(client)
    assert client.get(NAME, params={"revision": second["revision"]}).json()["status"] == "refused"
    assert client.get(NAME).json()["revision"] == first["revision"]
    assert client.get(NAME, params={"revision": "sha256:none"}).status_code == 404


def test_a_refused_file_is_checked_again_when_it_is_sent_again(client: TestClient, send: Send) -> None:
    sent(send, BAD)
    work(client)
    first = job_of(client)
    again = sent(send, BAD)
    assert (again["status"], again["self_check"], job_of(client) == first) == ("checking", None, False)
    assert sent(send, BAD)["id"] == again["id"]
    assert count_of_checks(client) == 2, "what is being checked is not checked twice"


def count_of_checks(client: TestClient) -> int:
    with client.app.state.gapcast.database.read() as session:  # type: ignore[attr-defined]
        return int(session.connection().exec_driver_sql("SELECT count(*) FROM jobs WHERE kind = 'check'").scalar() or 0)


def test_a_check_that_cannot_run_refuses_with_the_reason(client: TestClient, send: Send) -> None:
    plugin = json.dumps({"name": "nobody"})
    sent(send, [problem()], verifier="plugin", options=plugin)
    work(client)
    task = client.get(NAME).json()
    assert (task["status"], task["self_check"], task["error"]["code"]) == ("refused", None, "verifier_not_found")


@pytest.mark.parametrize("state", [JobState.dead, JobState.cancelled])
def test_a_check_that_ends_otherwise_does_not_stay_open(client: TestClient, send: Send, state: JobState) -> None:
    sent(send, GOOD)
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        job = session.get(Job, job_of(client))
        if state == JobState.cancelled:
            job = jobs.request_cancel(session, job.id)
        else:
            job.state = state
        settle(session, job)
    task = client.get(NAME).json()
    assert (task["status"], task["error"]["code"]) == ("refused", self_check.UNFINISHED["code"])


def test_tasks_of_earlier_versions_stay_in_use(client: TestClient, send: Send) -> None:
    sent(send, GOOD)
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        session.connection().exec_driver_sql("UPDATE tasks SET status = 'ready', check_job_id = NULL")
    assert asked(client).status_code == 202
    again = sent(send, GOOD)
    assert (again["status"], again["waiting"] is not None) == ("ready", True)


def test_a_check_takes_the_place_of_a_job(client: TestClient, send: Send, tmp_path: Path) -> None:
    client.app.state.gapcast.settings.max_queued_jobs = 1  # type: ignore[attr-defined]
    sent(send, GOOD)
    over = send(lines(*BAD), accept=None)
    assert (over.status_code, over.json()["code"]) == (429, "too_many_jobs")
    listed = client.get("/v1/tasks").json()["data"][-1]
    assert listed["train_problems"] == 20, "of what was refused nothing is stored"
    assert count_of_checks(client) == 1
