"""Probes that another harness has measured: imported, predicted from, compared; no worker runs here."""

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from gapcast.contract.imported_probes import ImportedProbe
from service.probes.importing import result

Body = dict[str, Any]

MODEL = {"name": "mine/agent", "family": "qwen3"}
ASKED: Body = {"model": MODEL, "task": "mine/games", "context": {"kind": "feedback"}}
STUDENT = {"a": [1, 0, 0, 0], "b": [0, 0, 0.5, 0], "c": [1, 1, 1, 1]}
TEACHER = {"c": [1, 1, 1, 1], "a": [1, 1, 0, 1], "b": [0, 1, 1, 0]}
EVALUATIONS: Body = {"student": STUDENT, "teacher": TEACHER}


def sent(**changes: Any) -> ImportedProbe:
    return ImportedProbe.model_validate(ASKED | EVALUATIONS | changes)


def test_a_gap_is_the_paired_mean_over_problems_by_hand() -> None:
    none = {"a": [0, 0, 0, 0], "b": [0, 0, 0, 0], "c": [1, 1, 1, 0]}
    found = result(sent(none=none, placebo=STUDENT))
    # a: 1/4 and 3/4, b: 1/8 and 2/4, c: 1 and 1
    d = np.array([0.5, 0.375, 0.0])
    within = [np.mean([np.var(scores, ddof=1) for scores in arm.values()]) for arm in (STUDENT, TEACHER)]
    variance = max(np.var(d, ddof=1) / 3, sum(max(w, 1 / 14) / 12 for w in within))
    assert found.problem_ids == ["a", "b", "c"]
    assert (found.gap.value, found.gap.se) == pytest.approx((d.mean(), variance**0.5))
    assert (found.gap.student, found.gap.self_teacher) == pytest.approx(((1 + 0.5 + 4) / 12, 9 / 12))
    assert (found.gap.problems, found.gap.rollouts) == (3, 4)
    assert found.arms["context"].counts == [3, 2, 4]
    assert found.controls.none is not None
    assert found.controls.none.value == pytest.approx((-0.25 - 0.125 - 0.25) / 3)
    assert found.net_gap is not None
    assert found.net_gap.value == pytest.approx(found.gap.value)
    assert found.covariates is not None
    # one success of four solves a problem in 1/4 of single rollouts, 1/2 of pairs; half a point is no success
    assert found.covariates.pass_at_k == pytest.approx({"1": 1.25 / 3, "2": 1.5 / 3, "4": 2 / 3})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"teacher": {"a": [1] * 4, "d": [1] * 4, "e": [1] * 4}},
            "teacher: expected the 3 problems of student, got an evaluation that lacks 2 of them ('b', 'c') and has 2 "
            "others ('d', 'e').",
        ),
        (
            {"student": STUDENT | {"b": [0, 2, 0, 0], "c": [-1, 0, 0, 0]}},
            "student: expected scores from 0 to 1, got 2 of problem 'b' (2 of 3 problems have such).",
        ),
        (
            {"student": STUDENT | {"b": [0, 0]}},
            "student: expected as many rollouts of every problem, got 4 of most and 2 of 'b'.",
        ),
        (
            {"teacher": {"a": 1, "b": 0, "c": True}},
            "teacher: expected 4 rollouts of each problem as in student, got 1.",
        ),
        (
            {"student": {"a": [1]}, "teacher": {"a": [1]}},
            "student: expected the scores of 2 to 100000 problems, got 1.",
        ),
        ({"none": STUDENT | {"": [0] * 4}}, "none: expected names of problems of 1 to 255 characters, got ''."),
        ({"placebo": STUDENT, "context": {"kind": "none"}}, "placebo: a context of kind none is a control itself"),
        ({"student": {"a": [1] * 257, "b": [0] * 257}}, "student: expected 1 to 256 rollouts of a problem, got 257."),
    ],
)
def test_what_does_not_pair_is_refused(changes: Body, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        sent(**changes)
    (error,) = refused.value.errors()
    at = error["loc"][-1] if error["loc"] else error["ctx"]["error"].param
    assert f"{at}: {error['ctx']['error']}".startswith(says)


@pytest.mark.slow
def test_an_import_is_a_probe_like_any_other(client: TestClient) -> None:
    body = ASKED | EVALUATIONS | {"name": "agents", "tags": ["v1"], "harness": "verifiers"}
    first = client.post("/v1/probes/import", json=body)
    assert first.status_code == 201, first.text
    probe = first.json()
    assert (probe["status"], probe["name"], probe["tags"]) == ("succeeded", "agents", ["v1"])
    assert client.get(first.headers["location"]).json() == probe
    again = client.post("/v1/probes/import", json=body | {"student": dict(reversed(STUDENT.items()))})
    assert (again.status_code, again.json()["id"]) == (200, probe["id"])
    keyed = [client.post("/v1/probes/import", json=body, headers={"Idempotency-Key": "k"}).json()["id"] for _ in "ab"]
    assert keyed == [probe["id"]] * 2
    other = client.post("/v1/probes/import", json=body | {"teacher": STUDENT}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422
    listed = client.get("/v1/probes", params={"task": "mine/games", "status": "succeeded"}).json()["data"]
    assert [one["id"] for one in listed] == [probe["id"]]
    assert listed[0]["result"]["problem_ids"] is None
    assert client.post(f"/v1/probes/{probe['id']}/cancel").status_code == 409
    assert client.get(f"/v1/probes/{probe['id']}/events").json()["data"] == []
    unknown = client.post("/v1/probes/import", json=body | {"model": "mine/agent"}).json()
    assert unknown["param"] == "model.family"


@pytest.mark.slow
def test_predictions_name_a_probe(client: TestClient) -> None:
    probe = client.post("/v1/probes/import", json=ASKED | EVALUATIONS).json()
    asked = ASKED | {"model": "mine/agent", "probe_id": probe["id"], "pool": "lab"}
    answer = client.post("/v1/predictions", json=asked)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["status"], found["probe_id"]) == ("succeeded", probe["id"])
    assert found["gap"] == probe["result"]["gap"]
    given = {name: found["gap"][name] for name in ("value", "se", "student")}
    by_gap = client.post("/v1/predictions", json=ASKED | {"gap": given, "pool": "lab"}).json()
    assert found["improvement"]["value"] == pytest.approx(by_gap["improvement"]["value"], abs=0.02)
    assert found["request"]["model"]["family"] == "qwen3"
    assert "not known" in client.get(f"/predictions/{found['id']}").text
    for changes, param in (
        ({"task": "mine/others"}, "task"),
        ({"context": {"kind": "hints"}}, "context"),
        ({"decoding": {"thinking": True}}, "decoding"),
        ({"gap": given}, "probe_id"),
        ({"probe_id": "probe_none"}, "probe_id"),
    ):
        refused = client.post("/v1/predictions", json=asked | changes).json()
        assert refused["param"] == param, refused


@pytest.mark.slow
def test_a_comparison_over_stored_probes_ends_at_once(client: TestClient) -> None:
    rng = np.random.default_rng(0)
    names = [f"p{number}" for number in range(64)]

    def imported(accuracy: float, kind: str, names: list[str] = names) -> Body:
        scores = {name: rng.binomial(1, accuracy, 4).tolist() for name in names}
        student = {name: rng.binomial(1, 0.2, 4).tolist() for name in names}
        body = ASKED | {"context": {"kind": kind}, "student": student, "teacher": scores}
        made: Body = client.post("/v1/probes/import", json=body).json()
        return ASKED | {"context": {"kind": kind}, "probe_id": made["id"], "name": kind}

    good, bad = imported(0.7, "feedback"), imported(0.25, "hints", names[::-1])
    answer = client.post("/v1/comparisons", json={"configurations": [bad, good], "name": "agents"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["status"], found["stopped_by"]) == ("succeeded", "law")  # of a family without runs
    assert (found["spent"]["rollouts"], found["spent"]["second_probe"]) == (0, 0)
    first, second = found["configurations"]
    assert (first["name"], first["probe_id"]) == ("feedback", good["probe_id"])
    assert first["standing"]["gap"] == pytest.approx(first["answer"]["gap"]["value"])
    assert second["standing"]["gap"] < first["standing"]["gap"]
    assert found["winner"]["prediction_id"] == first["prediction_id"]
    assert found["warnings"][0]["code"] == "winner_not_probed_again"
    assert client.get(f"/v1/comparisons/{found['id']}").json() == found
    assert client.get("/v1/comparisons", params={"status": "succeeded"}).json()["data"][0]["id"] == found["id"]
    page = client.get(f"/comparisons/{found['id']}")
    assert page.status_code == 200
    assert "agents" in page.text
    assert "second probe" not in page.text
    types = [one["type"] for one in client.get(f"/v1/comparisons/{found['id']}/events").json()["data"]]
    assert types == ["comparison.created", "comparison.succeeded"]
    others = imported(0.5, "static", [f"q{number}" for number in range(64)])
    for configurations, param in (
        ([good, others], "configurations.1.probe_id"),
        ([good, bad | {"probe_id": None}], "configurations.1.probe_id"),
    ):
        refused = client.post("/v1/comparisons", json={"configurations": configurations}).json()
        assert refused["param"] == param, refused
