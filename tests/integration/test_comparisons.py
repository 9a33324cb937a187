"""Comparisons against the real product: a server, its worker, the lab's models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gapcast import Client
from tests.support.product import ask, eventually, serving

pytestmark = pytest.mark.slow

Body = dict[str, Any]

CLOSE: list[Body] = [
    {"kind": "hints", "options": {"level": 3}},
    {"kind": "peer_solution"},
    {"kind": "feedback"},
    {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}},
]
"""Contexts of which none is clearly the best, so that several rounds are needed."""
HARD = {"confidence": 0.99, "indifference": 0.002}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server with its worker for all that need no other settings; each draws rollouts by a seed of its own."""
    with serving(tmp_path_factory.mktemp("comparisons"), {}) as (made, _):
        yield made


def comparison(model: str = "lab/addition-qwen3-s", seed: int = 0, **more: Any) -> Body:
    base: Body = {"model": model, "task": "lab/addition"}
    if seed:
        base["probe"] = {"seed": seed}
    return {"base": base, "vary": {"context": CLOSE}} | more


def compared(client: Any, body: Body, seconds: float = 240) -> Body:
    created = ask(client, "POST", "/v1/comparisons", json=body)

    def look() -> Body | None:
        found: Body = ask(client, "GET", f"/v1/comparisons/{created['id']}")
        return found if found["status"] not in {"queued", "running"} else None

    return eventually(look, seconds)


def test_several_rounds_end_with_a_winner_that_can_be_trained(client: Client) -> None:
    found = compared(client, comparison(**HARD, name="which hints"))
    assert found["status"] == "succeeded"
    assert found["name"] == "which hints"
    assert len(found["rounds"]) > 2
    assert found["spent"]["loads"] == 1
    assert found["spent"]["rollouts"] <= found["spent"]["equal_split"]
    spent = [one["rollouts"] for one in found["rounds"]]
    assert spent == sorted(set(spent)), "every round but the last one costs something"
    last = found["rounds"][-1]
    assert sum(one["p_best"] for one in last["standings"]) == pytest.approx(1)
    problems = {one["place"]: one["problems"] for one in last["standings"]}
    assert min(problems.values()) >= 32
    assert len(set(problems.values())) > 1, "those in question got more"
    for one in found["configurations"]:
        # each is a stored probe with the problems that it got, and a prediction under the comparison's fit
        probe = ask(client, "GET", f"/v1/probes/{one['probe_id']}")
        assert len(probe["result"]["problem_ids"]) == problems[one["place"]]
        prediction = ask(client, "GET", f"/v1/predictions/{one['prediction_id']}")
        assert prediction["law"]["fit_id"] == found["fit_id"]
        assert prediction["improvement"]["value"] == one["answer"]["improvement"]["value"]
        assert one["standing"]["gap"] == probe["result"]["gap"]["value"]
    winner = found["winner"]
    assert winner["place"] == last["leader"]
    second = ask(client, "GET", f"/v1/predictions/{winner['prediction_id']}")
    assert second["request"]["probe"]["seed"] == 1
    assert second["controls"]["placebo"] is not None
    assert winner["chosen_value"] != winner["answer"]["improvement"]["value"]
    # problems are the same for all: the first ones of the same draw
    ids = [
        ask(client, "GET", f"/v1/probes/{one['probe_id']}")["result"]["problem_ids"] for one in found["configurations"]
    ]
    longest = max(ids, key=len)
    assert all(one == longest[: len(one)] for one in ids)
    told = [one["type"] for one in ask(client, "GET", f"/v1/comparisons/{found['id']}/events")["data"]]
    progress = [one.data for one in client.comparisons.events(found["id"]) if one.type == "comparison.progress"]
    # a quick second probe may be over before its first report
    second_probes = [one["total"] for one in progress if one.get("of_second_probe")]
    assert second_probes in ([], [found["spent"]["second_probe"]] * len(second_probes))
    assert told.count("comparison.succeeded") == 1
    assert told.count("comparison.round") == len(found["rounds"])
    listed = ask(client, "GET", "/v1/comparisons", params={"name": "which hints"})["data"]
    assert [one["id"] for one in listed] == [found["id"]]
    # asked again, nothing is drawn: the answer is the same
    again = compared(client, comparison(**HARD, name="once more"))
    assert again["rounds"] == found["rounds"]


def test_two_models_are_compared_by_one_law_and_loaded_as_often_as_needed(client: Client) -> None:
    body = {
        "base": {"task": "lab/addition", "probe": {"seed": 10}},
        "vary": {"model": ["lab/addition-qwen3-s", "lab/addition-qwen3-m"], "context": CLOSE[:2]},
        "pick": 2,
    }
    found = compared(client, body)
    assert found["status"] == "succeeded"
    assert {one["request"]["model"]["name"] for one in found["configurations"]} == set(body["vary"]["model"])
    assert len(found["picked"]) == 2
    assert found["winner"]["place"] == found["rounds"][-1]["leader"]
    assert all(one["answer"]["law"]["fit_id"] == found["fit_id"] for one in found["configurations"])


def test_a_cancelled_comparison_keeps_its_rounds(client: Client) -> None:
    body = comparison(confidence=0.999, indifference=0, budget={"rollouts": 500_000})
    body["base"]["probe"] = {"rollouts": 16, "seed": 20}
    created = ask(client, "POST", "/v1/comparisons", json=body)
    path = f"/v1/comparisons/{created['id']}"
    eventually(lambda: ask(client, "GET", path)["rounds"], 120)
    ask(client, "POST", f"{path}/cancel")
    found = ask(client, "GET", path)
    assert found["status"] == "cancelled"
    assert found["rounds"]
    assert found["winner"] is None
    assert httpx2.post(f"{client.url}{path}/cancel").status_code == 409
    # its worker is free again
    assert compared(client, comparison(seed=20))["status"] == "succeeded"


def test_minutes_end_a_comparison_after_the_round_in_which_they_are_over(client: Client) -> None:
    found = compared(client, comparison(seed=30, **HARD, budget={"minutes": 0.001}))
    assert found["status"] == "succeeded"
    assert found["stopped_by"] == "budget"
    assert len(found["rounds"]) == 1
    assert found["winner"] is not None


def test_a_model_that_cannot_be_loaded_ends_the_comparison(tmp_path: Path) -> None:
    models = '[{"name": "gone", "family": "qwen3", "path": "/nowhere", "revision": "sha256:' + "0" * 64 + '"}]'
    with serving(tmp_path, {"GAPCAST_MODELS": models}) as (client, _):
        found = compared(client, comparison(model="gone"))
        assert found["status"] == "failed"
        assert found["error"]["message"]
        assert found["winner"] is None
