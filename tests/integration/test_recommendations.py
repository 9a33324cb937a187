"""Executed plans against the real product: a server, its worker, the lab's models."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.product import QUICK, ask, eventually, serving

pytestmark = pytest.mark.slow

Body = dict[str, Any]


def space(**more: Any) -> Body:
    """Contexts of runs that take a few seconds; the best is clear after a few problems."""
    recipe = {"steps": 4, "problems_per_step": 8}
    training = {"problems": 32, "evaluation_problems": 32}
    base = {"model": "lab/addition-qwen3-s", "task": "lab/addition", "recipe": recipe, "training": training}
    contexts = {
        "all": {"kind": "hints"},
        "some": {"kind": "hints", "options": {"level": 1}},
        "talk": {"kind": "feedback"},
    }
    return {"base": base, "vary": {"context": contexts}, "execute": True} | more


def ended(client: Any, plan: Body, seconds: float = 240) -> Body:
    def look() -> Body | None:
        found: Body = ask(client, "GET", f"/v1/recommendations/{plan['id']}")
        return found if found["status"] not in {"queued", "running"} else None

    return eventually(look, seconds)


def test_a_plan_is_executed_from_the_probes_to_the_best_run(tmp_path: Path) -> None:
    with serving(tmp_path, QUICK) as (client, _):
        plan = ask(client, "POST", "/v1/recommendations", json=space(budget={"runs": 2}, name="contexts"))
        assert [step["action"] for step in plan["plan"]] == ["probe", "train"]
        found = ended(client, plan)
        assert found["status"] == "succeeded", found["error"]
        probe, train = found["plan"]
        comparison = ask(client, "GET", f"/v1/comparisons/{probe['comparison_id']}")
        assert comparison["status"] == "succeeded"
        assert comparison["spent"]["rollouts"] <= probe["rollouts"]
        picked = [probe["configurations"][place] for place in comparison["picked"]]
        assert set(train["configurations"]) <= set(probe["configurations"])
        seeds = set()
        assert train["configurations"][0] == picked[0]
        for place, run_id in zip(train["configurations"], train["training_run_ids"], strict=True):
            run = ask(client, "GET", f"/v1/training_runs/{run_id}")
            assert run["status"] == "succeeded"
            seeds.add((place, run["seed"]))
            assert run["predicted"] is not None, "it is the run of a prediction"
            assert run["name"] == f"contexts: {found['space'][place]['name']}"
        assert len(seeds) == len(train["training_run_ids"])
        best = max(found["trained"], key=lambda one: one["improvement"]["value"])
        assert found["best"] == best
        told = [
            one["type"]
            for one in ask(client, "GET", f"/v1/recommendations/{plan['id']}/events", params={"limit": 500})["data"]
        ]
        assert told.count("recommendation.step") == 2
        assert "comparison.round" in told
        assert told.count("training_run.succeeded") == len(train["training_run_ids"])
        assert told[-1] == "recommendation.succeeded"
        # what was measured is known to the next plan
        again = ask(client, "POST", "/v1/recommendations", json=space(execute=False))
        assert all(one["problems"] >= 32 for one in again["space"])


def test_a_cancelled_plan_leaves_its_worker_free(tmp_path: Path) -> None:
    with serving(tmp_path, QUICK) as (client, _):
        plan = ask(client, "POST", "/v1/recommendations", json=space())
        path = f"/v1/recommendations/{plan['id']}"
        comparison = f"/v1/comparisons/{plan['plan'][0]['comparison_id']}"
        eventually(lambda: ask(client, "GET", comparison)["status"] == "running", 60)
        assert ask(client, "POST", f"{path}/cancel")["status"] == "cancelled"
        eventually(lambda: ask(client, "GET", comparison)["status"] == "cancelled", 60)
        body = space()["base"] | {"context": {"kind": "feedback"}, "probe": {"problems": 8}}
        prediction = ask(client, "POST", "/v1/predictions", json=body)
        eventually(lambda: ask(client, "GET", f"/v1/predictions/{prediction['id']}")["status"] == "succeeded", 60)
        assert ask(client, "GET", path)["status"] == "cancelled"
        assert ask(client, "GET", "/v1/training_runs")["data"] == []
