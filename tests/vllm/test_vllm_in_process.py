"""vLLM in this process. One engine at a time: it keeps much that is global."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.catalog.schemas import ModelOptions
from tests.vllm.contract import ChatContract, EngineContract
from workers.engines import Engine
from workers.engines.vllm import VllmEngine


def loaded(folder: Path) -> Iterator[Engine]:
    engine = VllmEngine.load(folder, ModelOptions(dtype="float32"))
    yield engine
    engine.close()


class TestVllm(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, plain_folder: Path) -> Iterator[Engine]:
        yield from loaded(plain_folder)


class TestVllmChat(ChatContract):
    @pytest.fixture(scope="class")
    @classmethod
    def chat_engine(cls, chat_folder: Path) -> Iterator[Engine]:
        yield from loaded(chat_folder)
