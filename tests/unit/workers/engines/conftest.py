from collections.abc import Iterator
from pathlib import Path

import pytest

from gapcast.contract.measured import ModelOptions
from tests.vllm.models import chat_model, plain_model
from workers.engines.transformers import TransformersEngine


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
