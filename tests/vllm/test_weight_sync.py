"""Weights that are trained here reach vLLM in this process, and where they do not, the check says so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from gapcast.contract.measured import ModelOptions
from tests.vllm.contract import PLAIN, TOLERANCE, requests_of
from tests.vllm.models import change, plain_model
from workers.engines.transformers import TransformersEngine
from workers.engines.vllm import VllmEngine
from workers.engines.vllm_weights import adapter_options
from workers.failures import JobError
from workers.opsd.adapters import file_weights
from workers.opsd.sync import RolloutWeights

RANK = 5
"""Not one of vLLM's own ranks."""


def untied_model(folder: Path) -> Path:
    """The lab's model with an output layer of its own."""
    plain_model(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(0)
    embedding = model.get_input_embeddings().weight
    head = torch.nn.Linear(embedding.shape[1], embedding.shape[0], bias=False)
    head.weight = torch.nn.Parameter(embedding.detach() + 0.05 * torch.randn_like(embedding))
    model.config.tie_word_embeddings = False
    model.lm_head = head
    model.generation_config = transformers.GenerationConfig(eos_token_id=0)
    model.save_pretrained(folder)
    change(folder / "config.json", dtype="bfloat16")
    return folder


@pytest.fixture(scope="module", params=["tied", "untied"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = {"tied": plain_model, "untied": untied_model}[request.param]
    return build(tmp_path_factory.mktemp(request.param) / "model")


class Learner:
    """A model in float32 that some optimizer steps are taken with."""

    def __init__(self, folder: Path, adapters: Callable[[Any], None] = lambda model: None) -> None:
        self.engine = TransformersEngine.load(folder, ModelOptions(dtype="float32"))
        adapters(self.engine.model)
        self._seed = 0

    def learn(self, steps: int = 3, rate: float = 1e-3) -> None:
        """Some steps towards random texts: every weight that can be trained moves."""
        model = self.engine.model
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=rate)
        for _ in range(steps):
            self._seed += 1
            tokens = torch.randint(2, 99, (4, 32), generator=torch.Generator().manual_seed(self._seed))
            model(input_ids=tokens, labels=tokens).loss.backward()
            optimizer.step()
            optimizer.zero_grad()


def student_and_teacher(model: Any) -> None:
    """Two LoRA adapters, of which the first is trained, as transformers adds them."""
    from peft import LoraConfig

    model.requires_grad_(False)
    torch.manual_seed(0)
    for name in ("student", "teacher"):
        config = LoraConfig(
            r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", init_lora_weights=name == "student"
        )
        model.add_adapter(config, adapter_name=name)
    model.set_adapter("student")


@contextmanager
def loaded(folder: Path, dtype: str = "float32", lora_rank: int | None = None) -> Iterator[VllmEngine]:
    engine = VllmEngine.load(folder, ModelOptions(dtype=dtype), lora_rank=lora_rank)  # type: ignore[arg-type]
    try:
        yield engine
    finally:
        engine.close()


def difference(engine: VllmEngine, learner: Learner) -> float:
    """The largest between rollouts' own log-probabilities, and those that engine and trainer give them afterwards."""
    requests = requests_of(engine, 32, 2)
    groups = engine.generate(requests, PLAIN, logprobs=True)
    rows = [(request.tokens, one) for request, group in zip(requests, groups, strict=True) for one in group]
    pairs = [(tokens, one.token_ids) for tokens, one in rows]
    found = [[one.logprobs for _, one in rows], engine.score(pairs), learner.engine.score(pairs)]
    assert sum(map(len, found[0])) > 100
    return max(max(values) - min(values) for row in zip(*found, strict=True) for values in zip(*row, strict=True))


def refusal(action: Callable[[], None]) -> JobError:
    with pytest.raises(JobError) as failure:
        action()
    assert (failure.value.code, failure.value.category) == ("weights_out_of_sync", "server")
    return failure.value


class TestFull:
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, folder: Path) -> Iterator[VllmEngine]:
        with loaded(folder) as engine:
            yield engine

    @pytest.fixture(scope="class")
    @classmethod
    def learner(cls, folder: Path) -> Learner:
        return Learner(folder)

    @pytest.fixture
    def weights(self, engine: VllmEngine, learner: Learner) -> RolloutWeights:
        weights = RolloutWeights(engine, learner.engine, lora=False)
        weights.push()
        return weights

    def test_after_every_update_the_engines_agree(
        self, engine: VllmEngine, learner: Learner, weights: RolloutWeights
    ) -> None:
        for update in range(2, 6):
            learner.learn()
            assert difference(engine, learner) > 0.1
            weights.push()
            assert difference(engine, learner) < TOLERANCE
            assert weights.largest < TOLERANCE
            assert weights.pushes == update
        assert weights.send_seconds > 0
        assert weights.check_seconds > 0

    def test_an_update_that_is_left_out_is_found(self, learner: Learner, weights: RolloutWeights) -> None:
        learner.learn(steps=1, rate=1e-5)
        error = refusal(weights.check)
        assert f"up to {weights.largest:.2g} nats" in error.message
        weights.push()

    def test_an_output_layer_that_is_left_out_is_found(
        self, engine: VllmEngine, learner: Learner, weights: RolloutWeights
    ) -> None:
        learner.learn()
        everything = dict(file_weights(learner.engine.model))
        engine.update_weights((name, each) for name, each in everything.items() if name != "lm_head.weight")
        refusal(weights.check)
        engine.update_weights(everything.items())
        weights.check()

    def test_prompts_that_are_cached_from_old_weights_are_found(
        self, engine: VllmEngine, learner: Learner, weights: RolloutWeights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        learner.learn()
        with monkeypatch.context() as patch:
            patch.setattr(engine.llm, "reset_prefix_cache", lambda: True)
            refusal(weights.push)
        weights.push()

    def test_seeds_draw_what_they_drew(self, engine: VllmEngine, learner: Learner, weights: RolloutWeights) -> None:
        first = engine.generate(requests_of(engine, 16, 2), PLAIN)
        weights.push()
        assert engine.generate(requests_of(engine, 16, 2), PLAIN) == first
        learner.learn()
        weights.push()
        assert engine.generate(requests_of(engine, 16, 2), PLAIN) != first

    def test_without_slots_for_adapters_merged_weights_are_sent(self, engine: VllmEngine, folder: Path) -> None:
        """As on a GPU in float32; here with the model wrapped by PEFT itself."""
        from peft import LoraConfig, get_peft_model

        assert not engine.takes_adapters
        learner = Learner(folder)
        learner.engine.model = get_peft_model(learner.engine.model, LoraConfig(r=RANK, target_modules="all-linear"))
        weights = RolloutWeights(engine, learner.engine, lora=True)
        for _ in range(2):
            learner.learn(rate=1e-2)
            assert difference(engine, learner) > 0.1
            weights.push()
            assert difference(engine, learner) < TOLERANCE


class TestLora:
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, folder: Path) -> Iterator[VllmEngine]:
        with loaded(folder, lora_rank=RANK) as engine:
            yield engine

    @pytest.fixture
    def learner(self, folder: Path) -> Learner:
        return Learner(folder, student_and_teacher)

    def test_after_every_update_the_engines_agree(self, engine: VllmEngine, learner: Learner) -> None:
        weights = RolloutWeights(engine, learner.engine, lora=True)
        weights.push()
        assert difference(engine, learner) < TOLERANCE
        for _ in range(4):
            learner.learn(rate=1e-2)
            assert difference(engine, learner) > 0.1
            refusal(weights.check)
            weights.push()
            assert difference(engine, learner) < TOLERANCE
            assert len(engine.llm.llm_engine.list_loras()) == 1
        # the adapter is all that was sent
        learner.engine.model.set_adapter("teacher")
        refusal(weights.check)

    def test_seeds_draw_what_they_drew(self, engine: VllmEngine, learner: Learner) -> None:
        weights = RolloutWeights(engine, learner.engine, lora=True)
        learner.learn(rate=1e-2)
        weights.push()
        first = engine.generate(requests_of(engine, 16, 2), PLAIN)
        weights.push()
        assert engine.generate(requests_of(engine, 16, 2), PLAIN) == first


@pytest.mark.parametrize(
    ("architecture", "rank", "dtype", "gpu", "slot"),
    [
        ("Qwen3ForCausalLM", 8, "float32", False, 8),
        ("Qwen3ForCausalLM", 5, "bfloat16", True, 8),
        ("Qwen3ForCausalLM", 257, "auto", True, 320),
        ("Qwen3ForCausalLM", None, "auto", False, None),
        ("Qwen3ForCausalLM", 513, "auto", False, None),
        ("Qwen3ForCausalLM", 8, "float32", True, None),
        ("GPT2LMHeadModel", 8, "float32", False, None),
        ("NobodyForCausalLM", 8, "float32", False, None),
    ],
)
def test_adapters_are_taken_where_vllm_has_kernels_for_them(
    plain_folder: Path, tmp_path: Path, architecture: str, rank: int | None, dtype: str, gpu: bool, slot: int | None
) -> None:
    (tmp_path / "config.json").write_bytes((plain_folder / "config.json").read_bytes())
    change(tmp_path / "config.json", architectures=[architecture])
    assert adapter_options(tmp_path, rank, dtype, gpu=gpu).get("max_lora_rank") == slot


def test_in_bfloat16_rounding_passes_and_old_weights_do_not(tmp_path: Path) -> None:
    folder = plain_model(tmp_path / "model")
    learner = Learner(folder)
    with loaded(folder, dtype="bfloat16") as engine:
        weights = RolloutWeights(engine, learner.engine, lora=False)
        for _ in range(3):
            learner.learn()
            refusal(weights.check)
            weights.push()
            assert weights.largest > 1e-4
