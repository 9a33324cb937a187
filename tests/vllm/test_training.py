"""Training runs whose rollouts are vLLM's: after every step it must have the trained weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training import MODEL, Told, configuration_of
from workers.failures import Paused
from workers.opsd import run_training
from workers.resources import Resources
from workers.tasks import load_task

RECIPE = {"steps": 24, "problems_per_step": 16, "group_size": 2, "learning_rate": 2e-3}
LORA = {"lora_rank": 8, "learning_rate": 1e-2, "teacher": "ema"}


@pytest.mark.parametrize("recipe", [{}, LORA], ids=["full", "lora"])
def test_a_run_learns_from_vllms_rollouts(tmp_path: Path, recipe: dict[str, Any]) -> None:
    configuration = configuration_of(
        load_task("lab/addition"),
        {"kind": "hints", "options": {"level": 3}},
        {**RECIPE, **recipe},
        {"evaluate_every": 24, "checkpoint_every": 8},
        engine="vllm",
        problems=32,
        rollouts=4,
    )
    resources = replace(
        Resources.read(MODEL, {}), checkpoint_folder=tmp_path / "checkpoints", export_folder=tmp_path / "model"
    )
    first = Told()
    with pytest.raises(Paused):
        run_training(configuration, resources, lambda *line: first.events.append(line), lambda: len(first.events) > 40)
    kept = tuple(Path(one["path"]) for one in reversed(first.of("training.checkpoint")))
    rest = Told()
    rest.result = run_training(
        configuration, replace(resources, checkpoints=kept), lambda *line: rest.events.append(line)
    )
    assert rest.result["versions"]["engine"] == "vllm"
    losses = [one["loss"] for one in first.of("training.metrics") + rest.of("training.metrics")]
    assert len(losses) == 24
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])
    assert rest.result["gap"]["value"] > 0.1
    assert rest.result["artifact"]["kind"] == ("lora" if recipe else "full")
