"""Training runs whose rollouts are vLLM's: after every step it must have the trained weights."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.training import learn_in_two_parts

LORA = {"lora_rank": 8, "learning_rate": 1e-2, "teacher": "ema"}


@pytest.mark.parametrize("recipe", [{}, LORA], ids=["full", "lora"])
def test_a_run_learns_from_vllms_rollouts(tmp_path: Path, recipe: dict[str, Any]) -> None:
    assert learn_in_two_parts(tmp_path, "vllm", recipe).result["versions"]["engine"] == "vllm"
