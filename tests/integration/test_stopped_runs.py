"""Three runs with a stopping rule, one of them hopeless: it stops by itself, and nothing of it is lost."""

from pathlib import Path
from typing import Any

import pytest

from gapcast import Client
from tests.chaos.test_killed_training import events, path_of
from tests.support.product import ask, eventually, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

Body = dict[str, Any]

WRONG = {"rate": 1.0}
STOP = {"min_gain": 0.1}
STEPS = 120
"""few, and within a factor of 1.25 of the lab's runs, so that their cell is warm"""


def body(context: Body, **training: Any) -> Body:
    """A run like those of the lab's pool, which has 36 curves of its cell."""
    return {
        "model": {"name": "lab/addition-qwen3-s"},
        "task": "lab/addition",
        "context": context,
        "recipe": {"steps": STEPS, "learning_rate": 5e-4},
        "probe": {"rollouts": 2},
        "training": {"problems": 128, "held_out_problems": 8, "export": "none", "stop": STOP} | training,
    }


def hints(level: int, **options: Any) -> Body:
    return {"kind": "hints", "options": {"level": level} | options}


def at_rest(client: Client, run: Body, seconds: float = 900) -> Body:
    """Wait until a run has ended or put itself aside."""

    def look() -> Body | None:
        found: Body = ask(client, "GET", path_of(run))
        return found if found["status"] in {"succeeded", "failed", "cancelled", "dead", "paused"} else None

    return eventually(look, seconds, every=0.5, known=lambda: events(client, run))


def test_a_hopeless_run_stops_and_the_others_finish(tmp_path: Path) -> None:
    with serving(tmp_path, {}) as (client, _):
        asked = [hints(3, corruption=WRONG), hints(3), hints(2)]
        hopeless, good, fair = (ask(client, "POST", "/v1/training_runs", json=body(context)) for context in asked)
        stopped = at_rest(client, hopeless)
        assert (stopped["status"], stopped["held"]) == ("paused", "futility"), stopped
        stop = stopped["stop"]
        assert stop["carried_out"]
        assert stop["step"] < STEPS / 2
        assert stop["p_above_min_gain"] < stop["threshold"]
        told = {one["type"]: one["data"] for one in events(client, hopeless)}
        assert told["training.stop"]["rule"] == told["job.paused"]["held"] == told["training_run.held"]["by"]
        ends = [at_rest(client, run) for run in (good, fair)]
        for run in ends:
            assert (run["status"], run["stopped_by"], run["stop"]) == ("succeeded", "steps", None)
            forecasts = [one["data"] for one in events(client, run) if one["type"] == "training.forecast"]
            assert len(forecasts) >= 9
            wide = forecasts[-1]["now"]["intervals"][1]
            assert wide["lower"] <= run["improvement"]["value"] <= wide["upper"]
        stored = ask(client, "GET", "/v1/observations", params={"source": "training"})["data"]
        assert {one["id"] for one in stored} == {one["observation_id"] for one in (stopped, *ends)}
        assert not any(one["excluded"] for one in stored)
        row = next(one for one in stored if one["id"] == stopped["observation_id"])
        assert (row["stopped_at"], row["improvement"]["value"]) == (stop["step"], stop["improvement"]["value"])
        assert row["improvement"]["value"] < STOP["min_gain"]
        curves = [one["curve"] for one in stored if one is not row]
        sources = [{look.get("source", "evaluation") for look in curve} for curve in curves]
        assert sources == [{"evaluation", "rollouts"}] * 2
        ask(client, "POST", path_of(hopeless, "/resume"))
        finished = at_rest(client, hopeless)
        assert finished["status"] == "succeeded"
        assert finished["stopped_by"] in {"steps", "collapse"}  # its contexts are wrong
        measured, estimate = finished["improvement"], row["improvement"]
        assert abs(measured["value"] - estimate["value"]) < 4 * (measured["se"] ** 2 + estimate["se"] ** 2) ** 0.5
        before, after = (ask(client, "GET", f"/v1/observations/{one['observation_id']}") for one in (stopped, finished))
        assert (before["excluded"], after["excluded"], after["stopped_at"]) == (True, False, None)
        assert after["id"] in before["excluded_reason"]
        assert finished["evaluations"][-1]["step"] > stop["step"]
