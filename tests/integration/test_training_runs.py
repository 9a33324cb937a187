"""From a prediction to a trained model and an observation that judges it, with real workers."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from gapcast import Client
from tests.chaos.test_killed_training import ended, path_of
from tests.conftest import need
from tests.support.product import GAPCAST, ask, environment, serving, working
from workers.engines import folder_revision

pytestmark = pytest.mark.slow

Body = dict[str, Any]

TRAINING: Body = {"training": {"held_out_problems": 8}}


def predicted(client: Client, configuration: Body) -> Body:
    made: Body = ask(
        client,
        "POST",
        "/v1/predictions",
        json=configuration | {"recipe": {"steps": 20}, "training": {"problems": 16}},
        headers={"Prefer": "wait=60"},
    )
    assert made["status"] == "succeeded"
    return made


def check(client: Client, prediction: Body, run: Body) -> None:
    """A run that has ended closes its prediction, and what it measured is its own."""
    assert run["status"] == "succeeded", run["error"]
    row = ask(client, "GET", f"/v1/observations/{run['observation_id']}")
    assert (row["prediction_id"], row["external_id"]) == (prediction["id"], run["id"])
    for name in ("gap", "improvement"):
        assert {part: row[name][part] for part in ("value", "se")} == {
            part: run[name][part] for part in ("value", "se")
        }
    for one in run["predicted"]["intervals"]:
        assert one["covered"] is (one["lower"] <= run["improvement"]["value"] <= one["upper"])
    assert [one["step"] for one in run["evaluations"]][-1] == 20


def test_a_prediction_is_trained_and_judged(tmp_path: Path, configuration: Body) -> None:
    with serving(tmp_path, {}) as (client, _):
        prediction = predicted(client, configuration)
        asked = TRAINING | {"prediction_id": prediction["id"]}
        runs = ask(client, "POST", "/v1/training_runs", json=asked | {"seeds": [0, 1]})["data"]
        done = [ended(client, run) for run in runs]
        for run in done:
            check(client, prediction, run)
        assert done[0]["gap"] != done[1]["gap"], "no two runs share a sample"
        for run in done:
            assert folder_revision(Path(run["artifact"]["path"])) == run["artifact"]["revision"]
            assert run["id"] in (Path(run["artifact"]["path"]) / "README.md").read_text()
        fit = ask(client, "GET", "/v1/fits/current", params={"pool": "default"})
        calibration = ask(client, "GET", f"/v1/fits/{fit['id']}/calibration")
        assert [one["prediction_id"] for one in calibration["outcomes"]] == [prediction["id"]] * 2


@pytest.mark.services
def test_two_workers_on_postgresql_and_redis(tmp_path: Path, configuration: Body, postgres_url: str) -> None:
    need("127.0.0.1", 6379, "Redis")
    settings = {
        "GAPCAST_DATABASE_URL": postgres_url,
        "GAPCAST_BROKER_URL": "redis://127.0.0.1:6379/10",
        "GAPCAST_DATA_DIR": str(tmp_path / "data"),
    }
    with (
        serving(tmp_path, settings) as (client, _),
        working(tmp_path, settings, "first"),
        working(tmp_path, settings, "second"),
    ):
        prediction = predicted(client, configuration)
        asked = TRAINING | {"prediction_id": prediction["id"]}
        runs = ask(client, "POST", "/v1/training_runs", json=asked | {"seeds": [0, 1]})["data"]
        paused = ask(client, "POST", path_of(runs[1], "/pause"))
        assert paused["status"] in {"paused", "running"}
        check(client, prediction, ended(client, runs[0]))
        ask(client, "POST", path_of(runs[1], "/resume"))
        check(client, prediction, ended(client, runs[1]))


def test_a_probe_of_512_problems_trains_128_and_says_so(tmp_path: Path, configuration: Body) -> None:
    with serving(tmp_path, {}) as (client, _):
        large = {"probe": {"problems": 512, "rollouts": 1}, "recipe": {"steps": 20, "problems_per_step": 8}}
        made = ask(client, "POST", "/v1/predictions", json=configuration | large, headers={"Prefer": "wait=60"})
        assert (made["status"], made["gap"]["problems"]) == ("succeeded", 512)
        trained = {"problems": 128, "evaluation_problems": 128, "passes": 1.25}
        assert made["training"] == trained
        run = ended(client, ask(client, "POST", "/v1/training_runs", json=TRAINING | {"prediction_id": made["id"]}))
        check(client, made, run)
        assert run["training"] == trained
        assert run["gap"]["problems"] == 128
        row = ask(client, "GET", f"/v1/observations/{run['observation_id']}")
        assert row["gap"]["problems"] == row["improvement"]["problems"] == 128
        assert [(one["problems"], one["rollouts"]) for one in run["evaluations"]] == [(128, 2)] * 10
        for command in (["predictions", "show", made["id"]], ["runs", "show", run["id"]]):
            done = subprocess.run(
                [GAPCAST, *command], env=environment({"GAPCAST_URL": client.url}), capture_output=True, text=True
            )
            assert "128 training problems, 1.25 passes" in done.stdout, done.stderr
