"""How often a prediction asks the database (DESIGN.md, "Performance gates"); what is shown without reading it again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from gapcast.contract.predictions import PredictionRequest
from service.jobs.models import JobState
from service.kit.database import Database
from service.kit.idempotency import Idempotency
from service.predictions import service
from service.predictions.service import Created
from service.settings import Settings
from tests.unit.predictions.test_predictions import end_job, job_of

Body = dict[str, Any]
ELSEWHERE: Body = {
    "model": {"name": "mine", "family": "mine"},
    "task": "mine",
    "context": {"kind": "hints"},
    "gap": {"value": 0.2, "se": 0.02, "student": 0.4},
}
OF_THE_LAB: Body = ELSEWHERE | {
    "model": {"name": "lab/addition-qwen3-s"},
    "task": "lab/addition",
    "context": {"kind": "hints", "options": {"level": 2}},
    "recipe": {"steps": 150},
    "name": "mine",
    "tags": ["a", "b"],
    "levels": [0.5, 0.99],
}
REFUSED = OF_THE_LAB | {"gap": {"value": 0.85, "se": 0.02, "student": 0.1}}


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked meanwhile; the beginning and the end of a transaction are not counted."""
    asked: list[str] = []

    def note(*given: Any) -> None:
        if not given[2].startswith("BEGIN"):
            asked.append(given[2])

    event.listen(database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(database.engine, "before_cursor_execute", note)


def ask(database: Database, settings: Settings, body: Body, key: str) -> Created:
    """Do what the endpoint does."""
    request, idempotency = PredictionRequest.model_validate(body), Idempotency(key, "hash")
    asked = service.prepare(database, "local", request, settings, idempotency)
    with database.write() as session:
        return service.create(session, "local", asked, settings, idempotency)


def test_a_given_gap_takes_six_statements_and_a_read_one(database: Database, settings: Settings) -> None:
    ask(database, settings, ELSEWHERE, "first")  # reads the fit, which is kept
    with statements(database) as asked:
        created = ask(database, settings, ELSEWHERE, "second")
    assert len(asked) <= 6, asked
    with statements(database) as asked, database.read() as session:
        service.found(session, "local", created.id)
    assert len(asked) == 1, asked


@pytest.mark.parametrize("body", [ELSEWHERE, OF_THE_LAB, REFUSED], ids=["elsewhere", "lab", "refused"])
def test_an_answer_is_shown_as_it_is_stored(database: Database, settings: Settings, body: Body) -> None:
    created = ask(database, settings, body, "key")
    with database.read() as session:
        stored = service.found(session, "local", created.id)
    assert created.shown is not None
    assert created.shown.verdict is not None
    assert json.loads(created.shown.model_dump_json()) == json.loads(stored.model_dump_json())
    again = ask(database, settings, body, "key")
    assert again == Created(created.id, None)


def test_an_answer_from_a_measured_probe_is_shown_as_it_is_stored(client: TestClient, configuration: Body) -> None:
    first = client.post("/v1/predictions", json=configuration).json()
    end_job(client, job_of(client, first), JobState.succeeded)
    answered = client.post("/v1/predictions", json=configuration | {"levels": [0.5]}).json()
    assert answered["status"] == "succeeded"
    assert client.get(f"/v1/predictions/{answered['id']}").json() == answered
    told = client.get(f"/v1/predictions/{answered['id']}/events").json()["data"]
    assert [one["type"] for one in told] == ["prediction.created", "prediction.succeeded"]
