"""An executed plan whose server is killed goes on where it was, and starts nothing twice."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_recommendations import ended, space
from tests.support.product import QUICK, ask, eventually, serving

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("at", ["probing", "training"])
def test_a_server_killed_in_the_middle_of_a_step(tmp_path: Path, at: str) -> None:
    settings = QUICK | {"GAPCAST_DATA_DIR": str(tmp_path / "data")}
    with serving(tmp_path / "first", settings) as (client, server):
        plan = ask(client, "POST", "/v1/recommendations", json=space(budget={"runs": 2}))
        path = f"/v1/recommendations/{plan['id']}"

        def is_there(_client: Any = client) -> bool:
            steps = ask(_client, "GET", path)["plan"]
            if at == "probing":
                comparison = ask(_client, "GET", f"/v1/comparisons/{steps[0]['comparison_id']}")
                return bool(comparison["status"] == "running")
            return bool(steps[-1]["training_run_ids"])

        eventually(is_there, 120)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(10)
    with serving(tmp_path / "second", settings) as (client, _):
        found = ended(client, plan)
        assert found["status"] == "succeeded", found["error"]
        assert [step["status"] for step in found["plan"]] == ["succeeded", "succeeded"]
        assert len(ask(client, "GET", "/v1/comparisons")["data"]) == 1
        started = {one["id"] for one in ask(client, "GET", "/v1/training_runs")["data"]}
        assert started == set(found["plan"][1]["training_run_ids"])
        assert {one["status"] for one in found["trained"]} == {"succeeded"}
        told = [one["type"] for one in ask(client, "GET", f"{path}/events", params={"limit": 500})["data"]]
        assert told.count("recommendation.step") == 2
        assert told.count("recommendation.succeeded") == 1
