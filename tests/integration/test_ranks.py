"""The same runs in one process and in two, by torchrun and FSDP2 on this machine's processor."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gapcast.launching import module_command, safe_environment
from tests.support import ranks
from tests.support.training import Told

pytestmark = pytest.mark.slow

SAME = 1e-4
"""Nats and weights; rounding alone makes some 1e-6."""
EXACT = [name for name in ranks.CASES if name not in ranks.ROUGH]


@dataclass
class Runs:
    """All cases, either way."""

    folder: Path
    alone: dict[str, Told]
    metrics: dict[str, list[dict[str, Any]]]
    results: dict[str, dict[str, Any]]

    def tensors(self, processes: str, name: str, file: str) -> dict[str, torch.Tensor]:
        tensors: dict[str, torch.Tensor] = load_file(self.folder / processes / name / file)
        return tensors


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("ranks")
    alone, several = folder / "alone", folder / "several"
    several.mkdir()
    told = {name: ranks.run(name, alone / name) for name in ranks.CASES}
    torchrun = ["torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    subprocess.run(
        module_command(*torchrun, "-m", "tests.support.ranks", str(several), str(alone)),
        check=True,
        env=safe_environment(os.environ) | {"OMP_NUM_THREADS": "1"},
    )
    return Runs(folder, told, **json.loads((several / "told.json").read_text()))


@pytest.mark.parametrize("name", EXACT)
def test_losses_and_gradients_are_those_of_one_process(runs: Runs, name: str) -> None:
    alone, several = runs.alone[name].of("training.metrics"), runs.metrics[name]
    assert len(alone) == len(several) == ranks.STEPS
    for one, other in zip(alone, several, strict=True):
        for key in ("loss", "gradient_norm", "agreement", "score", "with_context", "mean_tokens"):
            expected = one[key] if one[key] is None else pytest.approx(one[key], abs=SAME, rel=SAME)
            assert other[key] == expected, key


@pytest.mark.parametrize("name", EXACT)
def test_checkpoints_are_those_of_one_process(runs: Runs, name: str) -> None:
    """Whole tensors under the same names: weights, the teacher's average, and what AdamW knows."""
    for file in ("student", "teacher", "optimizer"):
        expected, found = (
            runs.tensors(way, name, f"{ranks.MIDDLE}/{file}.safetensors") for way in ("alone", "several")
        )
        assert expected.keys() == found.keys()
        assert all(torch.allclose(found[key], one, atol=SAME, rtol=SAME) for key, one in expected.items())


@pytest.mark.parametrize("name", EXACT)
def test_the_observation_is_that_of_one_process(runs: Runs, name: str) -> None:
    """Evaluations are shared out by prompt, and each sample has its own seed."""
    for key in ("counts", "baseline", "gap", "evaluations", "cov"):
        assert runs.results[name][key] == runs.alone[name].result[key]
    costs = [told["cost"] for told in (runs.results[name], runs.alone[name].result)]
    assert costs[0]["rollouts"] == costs[1]["rollouts"]
    assert costs[0]["tokens"] == costs[1]["tokens"]


@pytest.mark.parametrize("name", ["ema", "lora-ema", "best"])
def test_the_exported_model_is_that_of_one_process(runs: Runs, name: str) -> None:
    file = "model/adapter_model.safetensors" if "lora" in name else "model/model.safetensors"
    expected, found = (runs.tensors(way, name, file) for way in ("alone", "several"))
    assert expected.keys() == found.keys()
    assert all(torch.allclose(found[key], one, atol=SAME, rtol=0.01) for key, one in expected.items())
    names = [sorted(at.name for at in (runs.folder / way / name / "model").iterdir()) for way in ("alone", "several")]
    assert names[0] == names[1]


def test_the_best_weights_can_be_exported_though_they_are_not_the_last(runs: Runs) -> None:
    steps = {told["artifact"]["step"] for told in (runs.results["best"], runs.alone["best"].result)}
    assert steps == {runs.results["best"]["best"]["step"]}
    assert max(steps) < ranks.STEPS


def test_a_process_without_lessons_takes_part(runs: Runs) -> None:
    shares = {one["with_context"] for one in runs.metrics["idle"]}
    assert 0.5 in shares, "one lesson for two processes"


@pytest.mark.parametrize("name", ranks.ROUGH)
def test_passes_in_bfloat16_leave_float32_weights(runs: Runs, name: str) -> None:
    expected, found = runs.alone[name].of("training.metrics")[0], runs.metrics[name][0]
    assert found["loss"] == pytest.approx(expected["loss"], rel=0.1)
    assert found["loss"] != pytest.approx(expected["loss"], rel=1e-6), "of one process autocast rounds elsewhere"
    for file in ("student", "optimizer"):
        weights = runs.tensors("several", name, f"{ranks.MIDDLE}/{file}.safetensors")
        assert {weight.dtype for weight in weights.values()} == {torch.float32}


def late(metrics: list[dict[str, Any]]) -> list[float]:
    assert [one["step"] for one in metrics][-2:] == [5, 6]
    return [one["loss"] for one in metrics[-2:]]


@pytest.mark.parametrize("name", ranks.RESUMED)
def test_two_processes_go_on_from_the_checkpoint_of_one(runs: Runs, name: str) -> None:
    metrics = runs.metrics[f"{name}-resumed"]
    assert len(metrics) == 2
    assert late(metrics) == pytest.approx(late(runs.metrics[name]), abs=SAME)
    assert runs.results[f"{name}-resumed"]["gap"] == runs.results[name]["gap"]


@pytest.mark.parametrize("name", ranks.RESUMED)
def test_one_process_goes_on_from_the_checkpoint_of_two(runs: Runs, name: str, tmp_path: Path) -> None:
    told = ranks.run(name, tmp_path, checkpoint=runs.folder / "several" / name / ranks.MIDDLE)
    assert told.of("training.resumed") == [{"step": 4}]
    assert late(told.of("training.metrics")) == pytest.approx(late(runs.metrics[name]), abs=SAME)
