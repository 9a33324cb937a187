"""A comparison whose worker or server is killed ends once, with the answer of one that was left alone."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_comparisons import HARD, compared, comparison
from tests.support.product import QUICK, ask, children_of, eventually, serving

pytestmark = pytest.mark.slow

Body = dict[str, Any]
LONG = HARD | {"budget": {"rollouts": 40_000}}


def asked() -> Body:
    """Slow enough to have a middle."""
    body = comparison(**LONG)
    body["base"]["probe"] = {"rollouts": 16}
    return body


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Body:
    with serving(tmp_path_factory.mktemp("undisturbed"), QUICK) as (client, _):
        return compared(client, asked())


def the_same(found: Body, undisturbed: Body) -> None:
    assert found["status"] == "succeeded"
    assert found["rounds"] == undisturbed["rounds"]
    assert found["stopped_by"] == undisturbed["stopped_by"]
    winners = [one["winner"] for one in (found, undisturbed)]
    assert winners[0]["place"] == winners[1]["place"]
    assert winners[0]["answer"]["gap"] == winners[1]["answer"]["gap"]


def end_of(client: Any, comparison_id: str) -> Body:
    def look() -> Body | None:
        found: Body = ask(client, "GET", f"/v1/comparisons/{comparison_id}")
        return found if found["status"] not in {"queued", "running"} else None

    return eventually(look, 240)


def test_workers_and_children_killed_in_the_middle_of_rounds(tmp_path: Path, undisturbed: Body) -> None:
    with serving(tmp_path, QUICK) as (client, server):
        created = ask(client, "POST", "/v1/comparisons", json=asked())
        path = f"/v1/comparisons/{created['id']}"
        eventually(lambda: len(ask(client, "GET", path)["rounds"]) >= 1, 120)
        worker = next(pid for pid in children_of(server.process.pid) if children_of(pid))
        os.kill(children_of(worker)[0], signal.SIGKILL)
        eventually(lambda: "job.retrying" in told(client, path), 60)
        eventually(lambda: len(ask(client, "GET", path)["rounds"]) >= 2, 120)
        worker = next(pid for pid in children_of(server.process.pid) if children_of(pid))
        os.kill(worker, signal.SIGKILL)
        found = end_of(client, created["id"])
        the_same(found, undisturbed)
        kinds = told(client, path)
        assert kinds.count("comparison.succeeded") == 1
        assert kinds.count("job.succeeded") == 1
        predictions = ask(client, "GET", "/v1/predictions", params={"limit": 100})["data"]
        assert len(predictions) == len(found["configurations"]) + 1


def told(client: Any, path: str) -> list[str]:
    return [one["type"] for one in ask(client, "GET", f"{path}/events", params={"limit": 500})["data"]]


def test_a_server_killed_between_rounds(tmp_path: Path, undisturbed: Body) -> None:
    settings = QUICK | {"GAPCAST_DATA_DIR": str(tmp_path / "data")}
    with serving(tmp_path / "first", settings) as (client, server):
        created = ask(client, "POST", "/v1/comparisons", json=asked())
        eventually(lambda: len(ask(client, "GET", f"/v1/comparisons/{created['id']}")["rounds"]) >= 2, 120)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(10)
    with serving(tmp_path / "second", settings) as (client, _):
        the_same(end_of(client, created["id"]), undisturbed)
