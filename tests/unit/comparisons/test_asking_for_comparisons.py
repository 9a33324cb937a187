"""Comparisons on the API's side: asked for, refused, passed on from job to job, cancelled; no worker runs here."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.comparison_jobs import ComparisonConfiguration, PartResult
from gapcast.contract.predictions import Answer
from service.comparisons import configuring, repository
from service.comparisons import service as comparisons
from service.comparisons.configuring import Questions, questions
from service.jobs import repository as jobs
from service.kit.database import Database
from service.predictions import answering
from service.predictions.answer import answer
from tests.support.comparisons import round_, standing
from tests.support.databases import others_can_write
from tests.support.races import end_part

pytestmark = pytest.mark.slow

Body = dict[str, Any]

SMALL, MIDDLE = "lab/addition-qwen3-s", "lab/addition-qwen3-m"
CONTEXTS: list[Body] = [{"kind": "hints"}, {"kind": "peer_solution"}, {"kind": "feedback"}]


def comparison(*models: str, **more: Any) -> Body:
    vary = {"context": CONTEXTS} | ({"model": list(models)} if models else {})
    base = {"task": "lab/addition"} | ({} if models else {"model": SMALL})
    return {"base": base, "vary": vary} | more


def database_of(client: TestClient) -> Database:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    return database


def configurations(client: TestClient, comparison_id: str) -> list[ComparisonConfiguration]:
    """What the children of its live jobs are to do."""
    with database_of(client).read() as session:
        parts = repository.parts(session, [comparison_id])
        return [comparisons.configuration_of(session, part.row) for part in parts if part.job.state == "queued"]


def test_one_job_a_model_begins_with_the_same_few_problems_for_everybody(client: TestClient) -> None:
    made = client.post("/v1/comparisons", json=comparison(SMALL, MIDDLE, name="two models", tags=["sweep"]))
    assert (made.status_code, made.json()["status"]) == (202, "queued")
    assert client.get(made.headers["location"]).json() == made.json()
    first, second = configurations(client, made.json()["id"])
    assert {first.model, second.model} == {SMALL, MIDDLE}
    assert [one.place for one in first.members + second.members] == sorted(range(6), key=lambda place: place % 2)
    assert first.plan == {member.place: 32 for member in first.members}
    assert not first.decides, "the last of a round goes on for all of them"
    assert (first.known, first.round, first.rollouts) == ([None] * 6, 0, 0)
    assert first.members[0].probe.problems == 512, "as many as the task has"
    assert first.members[0].probe.controls == []
    assert (first.members[0].second.controls, first.members[0].second.seed) == (["placebo"], 1)
    own = client.get("/v1/comparisons", params={"tag": "sweep"}).json()["data"]
    assert [one["id"] for one in own] == [made.json()["id"]]
    assert client.get("/v1/comparisons", params={"name": "another"}).json()["data"] == []
    assert client.get("/v1/comparisons", params={"task": "lab/addition", "status": "queued"}).json()["data"]
    for model, found in (
        (SMALL, 1),
        (MIDDLE, 1),
        ("lab/addition-qwen3-m50", 0),
        ("lab/addition", 0),
        ("lab/addition-qwen3", 0),
    ):
        of = client.get("/v1/comparisons", params={"tag": "sweep", "model": model}).json()["data"]
        assert len(of) == found, model


def test_an_equal_split_counts_shared_arms_once(client: TestClient) -> None:
    made = client.post("/v1/comparisons", json=comparison()).json()
    # three self-teachers, one student, one control, each 128 problems x 4 rollouts
    assert made["spent"]["equal_split"] == 5 * 128 * 4
    (asked,) = configurations(client, made["id"])
    assert asked.decides
    assert asked.most_rollouts == 5 * 128 * 4
    recipes = comparison()
    recipes["vary"]["recipe.teacher"] = ["frozen", "ema"]
    assert client.post("/v1/comparisons", json=recipes).json()["spent"]["equal_split"] == 5 * 128 * 4


def test_only_gaps_of_one_model_law_and_cell_are_tested_against_each_other(client: TestClient) -> None:
    body = comparison(SMALL, MIDDLE)
    body["vary"]["recipe.teacher"] = ["frozen", "ema"]
    made = client.post("/v1/comparisons", json=body).json()
    asked = configurations(client, made["id"])[0]
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(asked.competitors):
        groups.setdefault(one.paired, []).append(place)
    requests = {one["place"]: one["request"] for one in made["configurations"]}
    for places in groups.values():
        kinds = {(requests[one]["model"]["name"], requests[one]["recipe"]["teacher"]) for one in places}
        assert len(kinds) == 1, "one model, one recipe"
    assert max(len(places) for places in groups.values()) > 1


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        (comparison(budget={"rollouts": 639}), "budget.rollouts", "expected at least 640"),
        (comparison("lab/none", MIDDLE), "vary[hints, lab/none].model.name", "expected a listed model"),
        (
            {"base": {"model": SMALL, "task": "nowhere"}, "vary": {"context": CONTEXTS}},
            "vary[hints].task",
            "expected",
        ),
        (
            comparison() | {"base": {"model": SMALL, "task": "lab/addition", "probe": {"problems": 5000}}},
            "vary[hints].probe.problems",
            "5000",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_and_nothing_is_stored(
    client: TestClient, body: Body, param: str, said: str
) -> None:
    answer = client.post("/v1/comparisons", json=body)
    assert answer.status_code in {404, 422}
    problem = answer.json()
    assert said in problem["detail"]
    assert problem["param"] == param
    assert problem["errors"][0]["param"] == param
    assert client.get("/v1/comparisons").json()["data"] == []
    with database_of(client).read() as session:
        assert jobs.count_live(session, "local") == 0


def test_the_least_budget_of_a_round_is_accepted(client: TestClient) -> None:
    assert client.post("/v1/comparisons", json=comparison(budget={"rollouts": 640})).status_code == 202


def test_a_key_makes_one_comparison(client: TestClient) -> None:
    answers = [
        client.post("/v1/comparisons", json=comparison(), headers={"Idempotency-Key": "once"}).json() for _ in range(2)
    ]
    assert answers[0]["id"] == answers[1]["id"]
    other = client.post("/v1/comparisons", json=comparison(pick=2), headers={"Idempotency-Key": "once"})
    assert other.status_code == 422
    assert len(client.get("/v1/comparisons").json()["data"]) == 1


def test_a_queued_comparison_is_cancelled_with_its_jobs(client: TestClient) -> None:
    made = client.post("/v1/comparisons", json=comparison(SMALL, MIDDLE)).json()
    assert client.post(f"/v1/comparisons/{made['id']}/cancel").json()["status"] == "cancelled"
    assert client.post(f"/v1/comparisons/{made['id']}/cancel").status_code == 409
    with database_of(client).read() as session:
        assert jobs.count_live(session, "local") == 0
    told = client.get(f"/v1/comparisons/{made['id']}/events").json()["data"]
    assert [one["type"] for one in told] == ["comparison.created", "comparison.cancelled"]


def test_what_is_not_there_is_not_found(client: TestClient) -> None:
    for path in ("", "/events"):
        assert client.get(f"/v1/comparisons/cmp_{'0' * 32}{path}").status_code == 404
    assert client.post(f"/v1/comparisons/cmp_{'0' * 32}/cancel").status_code == 404


def test_the_leader_is_shown_first_and_those_that_are_out_last(client: TestClient) -> None:
    made = client.post("/v1/comparisons", json=comparison()).json()
    standings = [standing(0, p_best=0.5), standing(1, p_best=0.1, eliminated=True), standing(2, p_best=0.4)]
    told = PartResult(rounds=[round_(leader=2, picked=[2], standings=standings)])
    with database_of(client).write() as session:
        (part,) = repository.parts(session, [made["id"]])
        repository.store_partial(session, part.job.id, told.model_dump(mode="json"))
    shown = client.get(f"/v1/comparisons/{made['id']}").json()["configurations"]
    assert [one["place"] for one in shown] == [2, 0, 1]


def test_the_end_asks_the_law_while_others_can_write(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    database, was_locked = database_of(client), list[bool]()

    def noted(*asked: Any) -> Answer:
        was_locked.append(not others_can_write(database))
        return answer(*asked)

    made = client.post("/v1/comparisons", json=comparison()).json()
    monkeypatch.setattr(answering, "answer", noted)
    with database.write() as session:
        job_id = repository.parts(session, [made["id"]])[0].job.id
        assert jobs.claim(session, job_id, "test", 60) is not None
    end_part(database, job_id)
    ended = client.get(f"/v1/comparisons/{made['id']}").json()
    assert (ended["status"], ended["winner"]["place"]) == ("succeeded", 1)
    assert all(one["answer"]["improvement"]["value"] is not None for one in ended["configurations"])
    assert was_locked == [False] * 4


def test_what_is_compared_is_looked_up_while_others_can_write(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, was_locked = database_of(client), list[bool]()

    def noted(found: Any, law: Any) -> Questions:
        was_locked.append(not others_can_write(database))
        return questions(found, law)

    monkeypatch.setattr(configuring, "questions", noted)
    headers = {"Idempotency-Key": "k"}
    first = client.post("/v1/comparisons", json=comparison(), headers=headers)
    assert (first.status_code, was_locked) == (202, [False])
    again = client.post("/v1/comparisons", json=comparison(), headers=headers)
    assert (again.json()["id"], len(was_locked)) == (first.json()["id"], 1)
