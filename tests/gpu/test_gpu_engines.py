"""Transformers, vLLM in this process and vLLM as a server, each on the GPU in float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gapcast.contract.measured import ModelOptions
from tests.vllm.contract import ChatContract, EngineContract
from tests.vllm.server import serve
from workers.engines import Engine, ModelSource, load_engine
from workers.engines.transformers import TransformersEngine
from workers.engines.vllm import VllmEngine

SMALL = ModelOptions(dtype="float32", memory_share=0.3)
"""Leaves room beside the other engines of these tests."""


class TestTransformersOnGpu(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, reference: TransformersEngine) -> Engine:
        assert reference.model.device.type == "cuda"
        return reference


class TestTransformersChatOnGpu(ChatContract):
    @pytest.fixture(scope="class")
    @classmethod
    def chat_engine(cls, chat_folder: Path) -> Iterator[Engine]:
        engine = TransformersEngine.load(chat_folder, SMALL)
        yield engine
        engine.close()


class TestVllmOnGpu(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, plain_folder: Path) -> Iterator[Engine]:
        engine = VllmEngine.load(plain_folder, SMALL)
        yield engine
        engine.close()


class TestVllmChatOnGpu(ChatContract):
    @pytest.fixture(scope="class")
    @classmethod
    def chat_engine(cls, chat_folder: Path) -> Iterator[Engine]:
        engine = VllmEngine.load(chat_folder, SMALL)
        yield engine
        engine.close()


@contextmanager
def served(folder: Path, log: Path) -> Iterator[Engine]:
    with serve(folder, log, "--gpu-memory-utilization", "0.3", cpu=False) as url:
        engine = load_engine("auto", ModelSource("test/model", url=url, served_as="served"), "pinned", ModelOptions())
        yield engine
        engine.close()


class TestServerOnGpu(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, plain_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
        with served(plain_folder, tmp_path_factory.mktemp("server") / "log") as engine:
            yield engine


class TestServerChatOnGpu(ChatContract):
    @pytest.fixture(scope="class")
    @classmethod
    def chat_engine(cls, chat_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
        with served(chat_folder, tmp_path_factory.mktemp("server") / "log") as engine:
            yield engine


def test_auto_takes_vllm_and_the_models_own_precision(plain_folder: Path) -> None:
    from workers.engines import folder_revision

    source = ModelSource("test/model", path=plain_folder)
    engine = load_engine("auto", source, folder_revision(plain_folder), ModelOptions(memory_share=0.3))
    assert engine.fingerprint()["engine"] == "vllm"
    assert engine.fingerprint()["dtype"] == "bfloat16"
    engine.close()
