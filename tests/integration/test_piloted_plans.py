"""A plan that pilots, against the real product: three runs begin, the best by its forecast is finished."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.product import QUICK, ask, eventually, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

Body = dict[str, Any]

STEPS = 120
"""few, and within a factor of 1.25 of the lab's runs, so that their cell is warm"""
SPACE: Body = {
    "base": {
        "model": "lab/addition-qwen3-s",
        "task": "lab/addition",
        "recipe": {"steps": STEPS, "learning_rate": 5e-4},
        "training": {"problems": 128},
    },
    "vary": {
        "context": {
            "all": {"kind": "hints", "options": {"level": 3}},
            "wrong": {"kind": "hints", "options": {"level": 3, "corruption": {"rate": 1.0}}},
            "talk": {"kind": "feedback"},
        }
    },
    "budget": {"runs": 2, "gpu_hours": 1.4},
    "cost": {"hours_per_run": 1.0, "seconds_per_rollout": 1e5},
    "execute": True,
}


def test_three_runs_are_piloted_and_the_best_is_finished(tmp_path: Path) -> None:
    with serving(tmp_path, QUICK) as (client, _):
        plan = ask(client, "POST", "/v1/recommendations", json=SPACE)
        (step,) = plan["plan"]
        assert (step["action"], step["runs"], step["finish"]) == ("pilot", 3, 1)

        def look() -> Body | None:
            found: Body = ask(client, "GET", f"/v1/recommendations/{plan['id']}")
            return found if found["status"] not in {"queued", "running"} else None

        found = eventually(look, 1500, every=0.5)
        assert found["status"] == "succeeded", found["error"]
        runs = [ask(client, "GET", f"/v1/training_runs/{run_id}") for run_id in step["training_run_ids"]]
        (finished,) = [run for run in runs if run["status"] == "succeeded"]
        others = [run for run in runs if run is not finished]
        assert finished["stopped_by"] == "steps"
        assert found["plan"][0]["finished_run_ids"] == [finished["id"]] == [found["best"]["training_run_id"]]
        assert {(run["status"], run["error"]["code"]) for run in others} == {("cancelled", "pilot_not_finished")}
        assert all(run["evaluations"][-1]["step"] == STEPS // 5 for run in others)
        early = {run["id"]: run["evaluations"][-1]["improvement"]["value"] for run in others}
        at_pilot = next(one for one in finished["evaluations"] if one["step"] == STEPS // 5)
        assert at_pilot["improvement"]["value"] > max(early.values()) - 0.1, "the forecast follows the early gain"
        told = ask(client, "GET", f"/v1/recommendations/{plan['id']}/events", params={"limit": 500})["data"]
        types = [one["type"] for one in told]
        assert types.count("training_run.held") == 3
        assert types.count("recommendation.piloted") == 1
        assert types[-1] == "recommendation.succeeded"
