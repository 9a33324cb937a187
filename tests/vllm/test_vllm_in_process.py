"""vLLM in this process. One engine at a time: it keeps much that is global."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gapcast.contract.measured import ModelOptions
from tests.vllm.contract import PLAIN, ChatContract, EngineContract
from tests.vllm.models import plain_model
from workers.engines import Engine, Request
from workers.engines.vllm import VllmEngine
from workers.failures import JobError


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


class TestVllmDamaged:
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
        folder = plain_model(tmp_path_factory.mktemp("damaged") / "model")
        weights = load_file(folder / "model.safetensors")
        weights["model.layers.0.mlp.up_proj.weight"].fill_(torch.nan)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        yield from loaded(folder)

    @pytest.mark.parametrize("logprobs", [False, True])
    def test_weights_that_are_not_numbers_are_told(self, engine: Engine, logprobs: bool) -> None:
        requests = [Request(engine.encode("1+1="), 2, seed) for seed in (0, 1)]
        with pytest.raises(JobError, match="not numbers in float32") as failure:
            engine.generate(requests, PLAIN, logprobs=logprobs)
        assert failure.value.code == "model_not_loadable"

    def test_in_scores_too(self, engine: Engine) -> None:
        for completion in ("2", "23"):
            with pytest.raises(JobError, match="not numbers in float32"):
                engine.score([(engine.encode("1+1="), engine.encode(completion))])
