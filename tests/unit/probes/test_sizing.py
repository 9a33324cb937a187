"""How large a probe must be: the size that is answered gives the width that was asked for."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.law.paired import Components
from service.probes import repository as probes
from tests.support.results import probe_result, stored

Body = dict[str, Any]
ASKED: Body = {"model": {"name": "lab/addition-qwen3-s"}, "task": "lab/addition", "target_half_width": 0.12}
ASKED["context"] = {"kind": "hints", "options": {"level": 2}}


def size(client: TestClient, **change: Any) -> Body:
    answer = client.post("/v1/probes/size", json=ASKED | change)
    assert answer.status_code == 200, answer.text
    found: Body = answer.json()
    return found


def predicted_half_width(client: TestClient, found: Body, level: float = 0.95) -> float:
    body = {name: ASKED[name] for name in ("model", "task", "context")} | {
        "gap": {"value": found["expected"]["gap"], "se": found["gap_se"], "student": found["expected"]["student"]},
        "levels": [level],
    }
    (interval,) = client.post("/v1/predictions", json=body).json()["improvement"]["intervals"]
    return float(interval["upper"] - interval["lower"]) / 2


@pytest.mark.parametrize(("target", "level"), [(0.12, 0.95), (0.09, 0.95), (0.06, 0.8)])
def test_a_prediction_from_a_probe_of_this_size_is_as_narrow_as_wanted(
    client: TestClient, target: float, level: float
) -> None:
    found = size(client, target_half_width=target, level=level, rollouts=4)
    assert found["verdict"] == "reachable"
    assert found["rollouts"] == 4
    width = predicted_half_width(client, found, level)
    assert width <= target + 1e-9
    assert width == pytest.approx(found["half_width"])
    variation = found["variation"]
    components = Components(variation["sigma_d2"], variation["w_student"], variation["w_self_teacher"])
    assert found["gap_se"] ** 2 == pytest.approx(components.variance(found["problems"], 4))
    smaller = found | {"gap_se": components.variance(found["problems"] - 1, 4) ** 0.5}
    assert found["problems"] == 32 or predicted_half_width(client, smaller, level) > target


def test_a_target_under_the_floor_is_refused_with_the_floor(client: TestClient) -> None:
    found = size(client, target_half_width=0.03)
    assert (found["verdict"], found["problems"], found["cost"]) == ("below_floor", None, None)
    assert found["floor"] > 0.03
    exact = found | {"gap_se": 1e-5}
    assert predicted_half_width(client, exact) == pytest.approx(found["floor"], rel=1e-3)
    assert f"{100 * found['floor']:.3g} points" in found["message"]


def test_few_problems_ask_for_more_rollouts_or_are_too_few(client: TestClient) -> None:
    free, few = size(client, target_half_width=0.09), size(client, target_half_width=0.09, most_problems=150)
    assert free["rollouts"] < few["rollouts"]
    assert few["problems"] <= 150 < free["problems"]
    none = size(client, target_half_width=0.085, most_problems=32)
    assert (none["verdict"], none["problems"]) == ("too_few_problems", None)
    assert "32 problems" in none["message"]


def test_dear_problems_ask_for_more_rollouts(client: TestClient) -> None:
    cheap = size(client, cost={"per_problem": 0, "per_rollout": 1})
    dear = size(client, cost={"per_problem": 50, "per_rollout": 1})
    assert (cheap["rollouts"], cheap["cost"]) == (1, 2 * cheap["problems"])
    assert dear["rollouts"] > 1
    assert dear["problems"] < cheap["problems"]


def test_no_probe_is_smaller_than_its_standard_error_can_be_known_by(client: TestClient) -> None:
    assert size(client, target_half_width=1.0)["problems"] == 32


def test_where_the_law_refuses_no_size_is_promised(client: TestClient) -> None:
    found = size(client, expected={"gap": 0.9, "student": 0.05}, target_half_width=0.5)
    assert (found["verdict"], found["problems"], found["half_width"]) == ("refused", None, None)


def test_what_is_expected_comes_from_who_knows_best(client: TestClient) -> None:
    assert size(client)["expected"]["source"] == "family"
    assert size(client, model={"name": "m", "family": "new"}, task="t")["expected"]["source"] == "prior"
    given = size(client, expected={"gap": 0.1, "student": 0.5})
    assert given["expected"] == {"gap": 0.1, "student": 0.5, "source": "request"}
    assert given["variation"]["source"] == "assumed"


@pytest.mark.parametrize(
    ("param", "change"),
    [
        ("target_half_width", {"target_half_width": 0}),
        ("target_half_width", {"target_half_width": 5}),
        ("level", {"level": 1}),
        ("model.family", {"model": {"name": "unknown"}}),
        ("pool", {"pool": "nothing"}),
        ("rollouts", {"rollouts": 0}),
        ("most_problems", {"most_problems": 31}),
        ("cost.per_rollout", {"cost": {"per_rollout": 0}}),
        ("expected", {"expected": {"gap": 0.6, "student": 0.5}}),
        ("colour", {"colour": 1}),
        ("decoding.thinking", {"decoding": {"thinking": "hard"}}),
        ("training.problems", {"training": {"problems": 10**5}}),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, param: str, change: Body) -> None:
    answer = client.post("/v1/probes/size", json=ASKED | change)
    assert (answer.status_code, answer.json()["param"]) == (422, param)


def test_a_pilot_of_something_else_is_refused(client: TestClient, configuration: Body) -> None:
    created = client.post("/v1/predictions", json=configuration).json()
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        probes.store_result(session, created["probe_id"], stored(probe_result()))
    answer = client.post("/v1/probes/size", json=ASKED | {"pilot_probe_id": created["probe_id"]})
    assert answer.json()["expected"] == {"gap": 0.3, "student": 0.25, "source": "pilot"}
    measured = {"sigma_d2": 0.02, "w_student": 0.15, "w_self_teacher": 0.2, "source": "pilot"}
    assert answer.json()["variation"] == measured
    other = ASKED | {"pilot_probe_id": created["probe_id"], "model": {"name": "lab/addition-qwen3-m"}}
    refused = client.post("/v1/probes/size", json=other)
    assert (refused.status_code, refused.json()["param"]) == (422, "pilot_probe_id")


def test_an_unknown_pilot_is_not_found(client: TestClient) -> None:
    answer = client.post("/v1/probes/size", json=ASKED | {"pilot_probe_id": "probe_1"})
    assert (answer.status_code, answer.json()["param"]) == (404, "pilot_probe_id")


def test_a_size_asks_the_leaf_of_the_law_that_the_prediction_asks(client: TestClient) -> None:
    """Runs in thinking mode, and runs on many problems, are cells of their own."""
    recipe = {"teacher": "frozen", "divergence": "forward_kl", "steps": 150, "learning_rate": 5e-4}
    about = {"family": "f", "model": "m", "task": "lab/addition", "context_kind": "hints", "baseline": 0.3}
    kinds = [
        {"slope": 1.0, "thinking": False, "problems": 128},
        {"slope": 1.6, "thinking": True, "problems": 128},
        {"slope": 0.2, "thinking": False, "problems": 512},
    ]
    rows = [
        about
        | {"recipe": recipe, "training_problems": kind["problems"]}
        | {"gap": {"value": gap, "se": 0.02, "thinking": kind["thinking"]}}
        | {"improvement": {"value": kind["slope"] * gap, "se": 0.02, "thinking": kind["thinking"]}}
        for kind in kinds
        for gap in (0.05, 0.1, 0.15, 0.2)[: 4 if kind["problems"] == 128 else 3]
    ]
    assert client.post("/v1/observations?pool=mine", json={"observations": rows}).status_code == 201
    question: Body = {"model": {"name": "m", "family": "f"}, "task": "lab/addition", "pool": "mine"}
    question |= {"context": ASKED["context"], "recipe": recipe}
    floors = []
    for kind in kinds:
        asked = question | {"decoding": {"thinking": kind["thinking"]}, "training": {"problems": kind["problems"]}}
        found = client.post("/v1/probes/size", json=asked | {"target_half_width": 0.3, "rollouts": 4}).json()
        expected = found["expected"]
        given = {"value": expected["gap"], "se": found["gap_se"], "student": expected["student"]}
        answer = client.post("/v1/predictions", json=asked | {"gap": given, "levels": [0.95]}).json()
        (interval,) = answer["improvement"]["intervals"]
        assert found["half_width"] == pytest.approx((interval["upper"] - interval["lower"]) / 2)
        floors.append(found["floor"])
    assert len({round(floor, 4) for floor in floors}) == 3
    usual = client.post("/v1/probes/size", json=question | {"target_half_width": 0.3}).json()
    assert usual["floor"] == pytest.approx(floors[0])
