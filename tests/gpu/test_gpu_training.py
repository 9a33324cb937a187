"""Training runs on the GPU: passes in bfloat16, rollouts of either engine."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.training import learn_in_two_parts

RECIPES: dict[str, dict[str, Any]] = {
    "frozen": {},
    "ema": {"teacher": "ema", "divergence": "reverse_kl", "top_k": 20},
    "lora": {"lora_rank": 8, "learning_rate": 1e-2, "teacher": "ema"},
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_learns_on_two_gpus(tmp_path: Path, recipe: str) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU")
    result = learn_in_two_parts(tmp_path, "transformers", RECIPES[recipe], processes=2).result
    assert (result["versions"]["processes"], result["versions"]["device"] != "cpu") == ("2", True)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_a_run_learns_on_the_gpu(tmp_path: Path, engine: str, recipe: str) -> None:
    result = learn_in_two_parts(tmp_path, engine, RECIPES[recipe]).result
    assert result["versions"]["engine"] == engine
    assert result["versions"]["device"] != "cpu"
    assert result["cost"]["gpu_hours"] > 0
