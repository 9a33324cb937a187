"""A training run that is killed at random moments, up to ten times, ends as the one that never was."""

import json
import os
import random
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gapcast.contract.training_results import Held, TrainingResult
from gapcast.launching import module_command
from service.training_runs.job import KIND
from tests.support.training import MODEL, configuration_of, told_of
from tests.support.watching import given_of, stop_rule
from workers.host.child_process import child_environment
from workers.tasks import load_task

pytestmark = pytest.mark.slow

JOB = {"entry": KIND.entry, "stops_gently": KIND.stops_gently}

SEED = 20
RECIPES: dict[str, dict[str, Any]] = {
    "ema": {"teacher": "ema", "divergence": "reverse_kl"},
    "ema, lora": {"teacher": "ema", "divergence": "reverse_kl", "lora_rank": 4, "learning_rate": 5e-3},
}


@dataclass
class Run:
    """One run in as many processes as it takes; published checkpoints are remembered as the database does."""

    folder: Path
    configuration: dict[str, Any]
    published: list[str] = field(default_factory=list)
    losses: dict[int, float] = field(default_factory=dict)
    attempts: int = 0
    watch: dict[str, Any] | None = None

    def attempt(self, kill_after: int | None) -> TrainingResult | Held | None:
        """Runs until the end, or until so many steps were told and then killed; returns what came of it."""
        self.attempts += 1
        resources = {
            "checkpoints": self.published[::-1],
            "checkpoint_folder": str(self.folder / "job" / str(self.attempts)),
            "export_folder": str(self.folder / "model"),
            "watch": self.watch,
        }
        job = JOB | {"configuration": self.configuration, "resources": resources}
        with subprocess.Popen(
            module_command("workers.child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write((json.dumps(job | {"parent_pid": os.getpid()}) + "\n").encode())
            process.stdin.close()
            steps = 0
            for line in map(json.loads, process.stdout):
                assert "error" not in line, line
                if "result" in line:
                    return TrainingResult.model_validate(line["result"])
                if "paused" in line:
                    return Held.model_validate(line["paused"]["held"])
                event, data = line["event"], line["data"]
                if event == "training.checkpoint":
                    self.published.append(data["path"])
                if event == "training.metrics":
                    assert self.losses.setdefault(data["step"], data["loss"]) == data["loss"]
                    steps += 1
                if steps == kill_after:
                    process.send_signal(signal.SIGKILL)
                    return None
        raise AssertionError("the child ended without a result")


@pytest.mark.parametrize(("name", "kills"), [("ema", 10), ("ema, lora", 3)])
def test_often_killed_is_as_good_as_never(tmp_path: Path, name: str, kills: int) -> None:
    recipe = {"steps": 60, **RECIPES[name]}
    options = {"checkpoint_every": 3, "evaluate_every": 20}
    configuration = configuration_of(load_task("lab/addition"), {"kind": "hints"}, recipe, options)
    dumped = configuration.model_dump(mode="json")
    assert dumped["model"] == MODEL
    whole, killed = Run(tmp_path / "whole", dumped), Run(tmp_path / "killed", dumped)
    expected = whole.attempt(None)
    assert expected is not None
    rng = random.Random(SEED)
    for _ in range(kills):
        assert killed.attempt(kill_after=rng.randint(1, 5)) is None
    result = killed.attempt(None)
    assert result is not None
    assert killed.attempts == kills + 1
    assert isinstance(result, TrainingResult)
    assert isinstance(expected, TrainingResult)
    assert told_of(result) == told_of(expected)
    assert killed.losses == whole.losses
    files = ("student", "teacher", "optimizer")
    at = {run.folder.name: Path(run.published[-1]) for run in (whole, killed)}
    assert {path.name for path in at.values()} == {"step_60"}
    for file in files:
        one, other = (load_file(path / f"{file}.safetensors") for path in at.values())
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert load_file(at["killed"] / "teacher.safetensors")
    one, other = (load_file(next((run.folder / "model").glob("*.safetensors"))) for run in (whole, killed))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(("by", "options"), [("futility", {"stop": {"min_gain": 0.1}}), ("pilot", {"pilot": 0.6})])
def test_a_run_that_puts_itself_aside_does_so_however_often_it_was_killed(
    tmp_path: Path, by: str, options: dict[str, Any]
) -> None:
    more = {"checkpoint_every": 3, "evaluate_every": 4, **options}
    size = {"problems": 32, "rollouts": 4}
    configuration = configuration_of(load_task("lab/addition"), {"kind": "none"}, {"steps": 20}, more, **size)
    dumped = configuration.model_dump(mode="json")
    watch = given_of(configuration, stop_rule(0.3) if by == "futility" else None)
    whole = Run(tmp_path / "whole", dumped, watch=watch)
    killed = Run(tmp_path / "killed", dumped, watch=watch)
    expected = whole.attempt(None)
    assert isinstance(expected, Held)
    assert (expected.by, expected.step in range(8, 16)) == (by, True), expected
    for steps in (5, 1, 2):
        assert killed.attempt(kill_after=steps) is None
    result = killed.attempt(None)
    assert isinstance(result, Held)
    cost = {"outcome": {"cost"}}
    assert result.model_dump(exclude=cost) == expected.model_dump(exclude=cost)
    assert killed.losses == whole.losses
    # nobody may have heard of it: the next attempt says the same at once
    again = killed.attempt(None)
    assert isinstance(again, Held)
    assert again.model_dump(exclude=cost) == expected.model_dump(exclude=cost)
    assert killed.losses == whole.losses
