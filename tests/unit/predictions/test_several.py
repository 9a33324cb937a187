"""A list of predictions in one request: stored whole or not at all, answered in its order."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, func, select

from gapcast.contract.predictions import PredictionRequest
from service.jobs.models import Job, JobState
from service.kit.database import Database
from service.predictions import service
from service.predictions.models import Prediction
from service.probes.models import Probe
from service.settings import Settings
from tests.unit.predictions.test_predictions import database_of, end_job, job_of

Body = dict[str, Any]
GAP = {"value": 0.2, "se": 0.02, "student": 0.4}


def stored(database: Database) -> tuple[int, int, int]:
    """How many predictions, probes and jobs there are."""
    with database.read() as session:
        counts = [session.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES]
    return (counts[0], counts[1], counts[2])


TABLES = (Prediction, Probe, Job)


@pytest.fixture
def given(configuration: Body) -> Body:
    """A request that brings its gap: it is answered at once."""
    return {name: value for name, value in configuration.items() if name != "probe"} | {"gap": GAP}


@pytest.fixture
def seeds(configuration: Body) -> Any:
    """Make requests that differ in the seeds of their probes."""
    return lambda *numbers: [
        configuration | {"probe": configuration["probe"] | {"seed": number}, "name": f"seed {number}"}
        for number in numbers
    ]


@contextmanager
def reads(database: Database) -> Iterator[list[str]]:
    """The SELECTs that are asked meanwhile."""
    asked: list[str] = []

    def note(*given: Any) -> None:
        if given[2].lstrip().startswith("SELECT"):
            asked.append(given[2])

    event.listen(database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(database.engine, "before_cursor_execute", note)


class TestAnswer:
    def test_is_a_list_in_the_order_that_was_asked(self, client: TestClient, seeds: Any) -> None:
        answer = client.post("/v1/predictions", json=seeds(5, 3, 4))
        assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
        assert "location" not in answer.headers
        page = answer.json()
        assert [one["name"] for one in page["data"]] == ["seed 5", "seed 3", "seed 4"]
        assert [one["status"] for one in page["data"]] == ["queued"] * 3
        ids = [one["id"] for one in page["data"]]
        assert (page["object"], page["has_more"]) == ("list", False)
        assert (page["first_id"], page["last_id"]) == (ids[0], ids[-1])
        alone = [client.get(f"/v1/predictions/{one}").json() for one in ids]
        # only what is read alone says why it waits
        assert [one | {"waiting": None} for one in alone] == page["data"]

    def test_is_the_same_as_one_by_one(self, client: TestClient, given: Body) -> None:
        alone = client.post("/v1/predictions", json=given).json()
        answer = client.post("/v1/predictions", json=[given, given | {"pool": "published"}])
        assert answer.status_code == 200
        first, other = answer.json()["data"]
        for field in ("request", "gap", "improvement", "law", "verdict", "support", "warnings"):
            assert first[field] == alone[field]
        assert (other["request"]["pool"], other["law"]["fit_id"] != first["law"]["fit_id"]) == ("published", True)

    def test_has_not_ended_while_one_of_them_has_not(
        self, client: TestClient, given: Body, configuration: Body
    ) -> None:
        answer = client.post("/v1/predictions", json=[given, configuration])
        assert answer.status_code == 202
        assert [one["status"] for one in answer.json()["data"]] == ["succeeded", "queued"]

    def test_waits_for_all_of_them(self, client: TestClient, seeds: Any) -> None:
        first, second = seeds(1, 2)
        end_job(client, job_of(client, client.post("/v1/predictions", json=first).json()), JobState.succeeded)
        job = job_of(client, client.post("/v1/predictions", json=second).json())
        half = client.post("/v1/predictions", json=[first, second], headers={"Prefer": "wait=1"})
        assert (half.status_code, half.headers["preference-applied"]) == (202, "wait=1")
        with ThreadPoolExecutor(1) as beside:
            waiting = beside.submit(client.post, "/v1/predictions", json=[first, second], headers={"Prefer": "wait=60"})
            end_job(client, job, JobState.succeeded)
            answer = waiting.result()
        assert answer.status_code == 200
        assert [one["status"] for one in answer.json()["data"]] == ["succeeded"] * 2

    def test_a_list_of_one_is_a_list(self, client: TestClient, given: Body) -> None:
        page = client.post("/v1/predictions", json=[given]).json()
        assert (page["object"], page["first_id"]) == ("list", page["last_id"])


class TestProbes:
    def test_equal_configurations_share_one(self, client: TestClient, seeds: Any) -> None:
        alone = client.post("/v1/predictions", json=seeds(1)[0]).json()
        asked = [*seeds(1, 2), seeds(2)[0] | {"levels": [0.5]}]
        probes = [one["probe_id"] for one in client.post("/v1/predictions", json=asked).json()["data"]]
        assert (probes[0], probes[1]) == (alone["probe_id"], probes[2])
        assert stored(database_of(client)) == (4, 2, 2)

    def test_one_that_ended_without_a_result_is_measured_anew(self, client: TestClient, seeds: Any) -> None:
        alone = client.post("/v1/predictions", json=seeds(1)[0]).json()
        job = job_of(client, alone)
        end_job(client, job, JobState.failed, {"code": "x", "message": "m", "category": "server"})
        again = client.post("/v1/predictions", json=seeds(1, 2)).json()["data"][0]
        assert (again["probe_id"], again["status"]) == (alone["probe_id"], "queued")
        assert job_of(client, again) != job

    def test_more_of_them_are_not_more_questions_to_the_database(self, client: TestClient, seeds: Any) -> None:
        client.post("/v1/predictions", json=seeds(0)[0])  # makes the fit
        with reads(database_of(client)) as few:
            client.post("/v1/predictions", json=seeds(*range(100, 102)))
        with reads(database_of(client)) as many:
            client.post("/v1/predictions", json=seeds(*range(200, 250)))
        assert len(many) == len(few) > 0


class TestRefused:
    def test_too_many_jobs_store_nothing(self, client: TestClient, settings: Settings, seeds: Any) -> None:
        state: Any = client.app.state.gapcast  # type: ignore[attr-defined]
        state.settings = settings.model_copy(update={"max_queued_jobs": 2})
        answer = client.post("/v1/predictions", json=seeds(1, 2, 3), headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"], "retry-after" in answer.headers) == (
            429,
            "too_many_jobs",
            True,
        )
        assert stored(database_of(client)) == (0, 0, 0)
        assert client.post("/v1/predictions", json=seeds(1, 2), headers={"Idempotency-Key": "k"}).status_code == 202

    def test_one_fault_stores_nothing_of_the_others(self, client: TestClient, given: Body, seeds: Any) -> None:
        asked = [given, *seeds(1, 2)]
        asked[2] |= {"probe": {"problems": 513, "rollouts": 2}}
        answer = client.post("/v1/predictions", json=asked)
        assert (answer.status_code, answer.json()["param"]) == (422, "2.probe.problems")
        assert stored(database_of(client)) == (0, 0, 0)


class TestKey:
    def test_answers_with_the_same_predictions(self, client: TestClient, given: Body, seeds: Any) -> None:
        asked, headers = [*seeds(2, 1), given], {"Idempotency-Key": "k1"}
        first = client.post("/v1/predictions", json=asked, headers=headers).json()
        assert client.post("/v1/predictions", json=asked, headers=headers).json() == first
        assert stored(database_of(client)) == (3, 2, 2)

    @pytest.mark.parametrize("change", ["order", "one", "shorter"])
    def test_is_of_the_whole_list(self, client: TestClient, seeds: Any, change: str) -> None:
        first, second = seeds(1, 2)
        other = {"order": [second, first], "one": first, "shorter": [first]}[change]
        headers = {"Idempotency-Key": "k1"}
        client.post("/v1/predictions", json=[first, second], headers=headers)
        answer = client.post("/v1/predictions", json=other, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_lists_that_overlap_are_stored_side_by_side(database: Database, settings: Settings, seeds: Any) -> None:
    """Each list has an order of its own: no two wait for each other for ever, and nothing is measured twice."""
    requests = {number: PredictionRequest.model_validate(body) for number, body in enumerate(seeds(*range(12)))}

    def ask(seed: int) -> list[str]:
        wanted = [requests[number] for number in random.Random(seed).sample(range(12), 8)]
        asked = service.prepare_all(database, "local", wanted, settings)
        with database.write() as session:
            return service.create_all(session, "local", asked, settings)

    with ThreadPoolExecutor(8) as beside:
        made = list(beside.map(ask, range(24)))
    assert len({one for ids in made for one in ids}) == 24 * 8
    assert stored(database) == (24 * 8, 12, 12)


def test_the_document_says_both_forms(client: TestClient) -> None:
    post = client.get("/openapi.json").json()["paths"]["/v1/predictions"]["post"]
    one, several = post["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert (several["type"], several["minItems"], several["maxItems"], several["items"]) == ("array", 1, 50, one)
    for status in ("200", "202"):
        assert len(post["responses"][status]["content"]["application/json"]["schema"]["oneOf"]) == 2
    assert json.dumps(post).count("PredictionList") >= 2
