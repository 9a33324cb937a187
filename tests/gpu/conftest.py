"""The fixtures of tests/vllm, which load a model onto the GPU where there is one."""

import importlib.util
from pathlib import Path

import pytest
import torch

from tests.vllm.conftest import chat_folder, plain_folder, reference

__all__ = ["chat_folder", "plain_folder", "reference"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what lies here, and lets libraries warn as they like."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session", autouse=True)
def _gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use")
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed: pip install '.[worker,vllm,dev]'")
