"""The commands of training runs as a user types them, against a real server whose worker really trains."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gapcast import Client
from tests.support.product import GAPCAST, ask, environment, eventually, serving

pytestmark = pytest.mark.slow

CONFIGURATION = (
    "model: {name: lab/addition-qwen3-s}\ntask: lab/addition\ncontext: {kind: hints, options: {level: 2}}\n"
    "recipe: {steps: STEPS, problems_per_step: 8}\nprobe: {problems: 16, rollouts: 2}\n"
    "training: {problems: 16, held_out_problems: 8, evaluate_every: 4, checkpoint_every: 2}\n"
)


class Command:
    """The command, in a folder of its own and with a server to talk to."""

    def __init__(self, url: str, folder: Path) -> None:
        self._environment = environment({"GAPCAST_URL": url, "PYTHONUNBUFFERED": "1"})
        self._folder = folder

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [GAPCAST, *arguments],
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, expect: int = 0) -> tuple[str, str]:
        process = self.start(*arguments)
        out, told = process.communicate(timeout=240)
        assert process.returncode == expect, f"{arguments}: {process.returncode}\n{out}\n{told}"
        return out, told


@pytest.fixture
def product(tmp_path: Path) -> Iterator[tuple[Command, Client]]:
    """The command and a client of the same server."""
    with serving(tmp_path / "server", {"GAPCAST_WORKER": "on"}) as (client, _):
        yield Command(client.url, tmp_path), client


def answer(command: Command, *arguments: str) -> Any:
    return json.loads(command(*arguments, "--json")[0])


def test_a_prediction_is_trained_and_meets_its_outcome(product: tuple[Command, Client], tmp_path: Path) -> None:
    gapcast, client = product
    (tmp_path / "config.yaml").write_text(CONFIGURATION.replace("STEPS", "8"))
    prediction = answer(gapcast, "predict", "config.yaml")
    hint = f"gapcast train --prediction {prediction['id']}" in gapcast("predict", "config.yaml")[0]
    assert hint == (prediction["verdict"] == "train")
    (tmp_path / "more.yaml").write_text(CONFIGURATION.splitlines()[-1])
    shown, _ = gapcast("train", "more.yaml", "--prediction", prediction["id"])
    for words in (
        "  baseline ",
        "  step 4: accuracy ",
        "  step 8: accuracy ",
        "Improvement  ",
        "Predicted    ",
        "95 % interval: ",
        "s the outcome",
        "Best step    ",
        "Held out     ",
        "Accuracy     ",
        "Collapsed    ",
    ):
        assert words in shown
    (run,) = client.training_runs.list(prediction_id=prediction["id"])
    found = client.training_runs.get(run.id)
    assert found.improvement is not None
    assert found.predicted is not None
    assert found.observation_id is not None
    assert found.observation_id in shown
    assert [one.step for one in found.evaluations or []] == [4, 8]
    for one in found.predicted.intervals:
        assert one.covered == (one.lower <= found.improvement.value <= one.upper)

    stored = client.observations.get(found.observation_id)
    assert (stored.external_id, stored.source, stored.prediction_id) == (run.id, "training", prediction["id"])
    assert (stored.gap.value, stored.improvement.value) == (
        found.gap.value if found.gap else None,
        found.improvement.value,
    )
    assert answer(gapcast, "law", "--pool", "default")["calibration"]["n"] == 1

    assert found.artifact is not None
    inspected, _ = gapcast("models", "inspect", found.artifact.path, "--name", "mine/after", "--family", "lab-qwen3")
    assert found.artifact.revision in inspected
    _, refused = gapcast("train", "more.yaml", "--prediction", prediction["id"], "--detach", expect=2)
    assert run.id in refused


def test_a_run_is_paused_and_goes_on_where_it_was(product: tuple[Command, Client], tmp_path: Path) -> None:
    gapcast, client = product
    (tmp_path / "config.yaml").write_text(CONFIGURATION.replace("STEPS", "400").replace("every: 4", "every: 200"))
    run = answer(gapcast, "train", "config.yaml", "--detach")["id"]
    eventually(lambda: client.training_runs.get(run).checkpoint, seconds=120)
    assert gapcast("runs", "pause", run)[0] == f"{run} (seed 0): pausing\n"
    eventually(lambda: client.training_runs.get(run).status == "paused", seconds=60)
    shown, _ = gapcast("runs", "show", run)
    assert f"gapcast runs resume {run}" in shown
    newest = client.training_runs.checkpoints(run).data[0]
    assert f"checkpoint of step {newest.step} " in shown
    assert newest.path in gapcast("runs", "checkpoints", run)[0]
    assert gapcast("runs", "resume", run)[0] == f"{run} (seed 0): queued\n"

    def resumed() -> list[int]:
        seen = ask(client, "GET", f"/v1/training_runs/{run}/events", params={"limit": 500})["data"]
        return [one["data"]["step"] for one in seen if one["type"] == "training.resumed"]

    assert eventually(resumed, seconds=120) == [newest.step]
    following = gapcast.start("runs", "follow", run)
    assert following.stdout is not None
    followed = ""
    while "going on from its checkpoint" not in followed:
        line = following.stdout.readline()
        assert line, followed
        followed += line
    assert "cancelling" in gapcast("runs", "cancel", run)[0]
    rest, _ = following.communicate(timeout=120)
    assert "Status  cancelled" in rest
    assert following.returncode == 1
