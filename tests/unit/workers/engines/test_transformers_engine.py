"""The transformers engine keeps the contract of all engines, and a little more."""

import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import transformers

from gapcast.contract.measured import ModelOptions
from tests.vllm.contract import PLAIN, ChatContract, EngineContract, requests_of
from tests.vllm.models import change
from workers.engines import Engine, Request, Sampling
from workers.engines import transformers as module
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError

pytestmark = pytest.mark.slow


class TestTransformers(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, reference: TransformersEngine) -> Engine:
        return reference


class TestTransformersChat(ChatContract):
    @pytest.fixture(scope="class")
    @classmethod
    def chat_engine(cls, chat_folder: Path) -> Iterator[Engine]:
        engine = TransformersEngine.load(chat_folder)
        yield engine
        engine.close()


ROUNDING = 5e-5
"""Nats by which other shapes round another sum in float32."""


def large_vocabulary(folder: Path) -> TransformersEngine:
    """Random weights with a vocabulary of 50,000."""
    config = transformers.AutoConfig.from_pretrained(folder)
    config.vocab_size, config.max_position_embeddings = 50_000, 512
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype="float32").eval()
    return TransformersEngine(model, transformers.AutoTokenizer.from_pretrained(folder))


class TestAlone:
    def test_leaves_the_process_random_state_alone(self, reference: TransformersEngine) -> None:
        state = torch.get_rng_state()
        reference.generate(requests_of(reference, 2, 2), PLAIN)
        assert torch.equal(torch.get_rng_state(), state)

    def test_auto_is_float32_on_a_cpu_whatever_its_files_are(self, plain_folder: Path) -> None:
        assert json.loads((plain_folder / "config.json").read_text())["dtype"] == "bfloat16"
        engine = TransformersEngine.load(plain_folder, ModelOptions(dtype="auto"))
        assert engine.fingerprint()["dtype"] == "float32"
        engine.close()

    def test_computes_in_float32_on_one_thread(self, reference: TransformersEngine) -> None:
        assert reference.fingerprint()["dtype"] == "float32"
        assert torch.get_num_threads() == 1

    def test_small_batches_give_the_same_samples(
        self, reference: TransformersEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests = requests_of(reference, 20, 3)
        scored = [(request.tokens, request.tokens[::-1]) for request in requests]
        samples, scores = reference.generate(requests, PLAIN), reference.score(scored)
        monkeypatch.setattr(module, "BATCH_LOGITS", 300)
        assert reference.generate(requests, PLAIN) == samples
        for name, most in (("SCORE_LOGITS", 100), ("SCORE_LOGITS", 500), ("SCORE_TOKENS", 4), ("SCORE_TOKENS", 60)):
            with monkeypatch.context() as patched:
                patched.setattr(module, name, most)
                for row, expected in zip(reference.score(scored), scores, strict=True):
                    assert row == pytest.approx(expected, abs=ROUNDING)

    def test_a_model_that_gives_all_logits_scores_the_same(
        self, reference: TransformersEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scored = [(request.tokens, request.tokens[::-1]) for request in requests_of(reference, 20, 1)]
        scores = reference.score(scored)
        monkeypatch.setattr(reference, "_keeps_some", False)
        monkeypatch.setattr(module, "SCORE_LOGITS", 500)
        for row, expected in zip(reference.score(scored), scores, strict=True):
            assert row == pytest.approx(expected, abs=ROUNDING)

    def test_a_large_vocabulary_is_scored_in_few_calls(self, plain_folder: Path) -> None:
        engine = large_vocabulary(plain_folder)
        prompts = [[place % 97 for place in range(length)] for length in (300, 180, 250, 220)]
        pairs = [(prompt, [token * 500 for token in prompt[:90]]) for prompt in prompts]
        calls: list[int] = []
        engine.model.lm_head.register_forward_hook(lambda _, given, made: calls.append(made.numel()))
        scores = engine.score(pairs)
        assert len(calls) <= 4
        assert max(calls) <= module.SCORE_LOGITS
        for (prompt, completion), row in zip(pairs, scores, strict=True):
            with torch.inference_mode():
                logits = engine.model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
            expected = logits.log_softmax(-1)[range(90), completion].tolist()
            assert row == pytest.approx(expected, abs=ROUNDING)

    def test_a_tiny_temperature_is_greedy_in_effect(self, reference: TransformersEngine) -> None:
        requests = requests_of(reference, 16, 1)
        cold, greedy = (reference.generate(requests, Sampling(t, 1.0, 8)) for t in (1e-30, 0.0))
        assert cold == greedy

    def test_weights_that_are_not_numbers_are_told(self, plain_folder: Path) -> None:
        engine = TransformersEngine.load(plain_folder)
        with torch.no_grad():
            engine.model.model.layers[0].mlp.up_proj.weight.fill_(torch.nan)
        with pytest.raises(JobError, match="not numbers in float32") as failure:
            engine.generate([Request(engine.encode("1+1="), 1, 0)], PLAIN)
        assert failure.value.code == "model_not_loadable"
        with pytest.raises(JobError, match="not numbers in float32"):
            engine.score([(engine.encode("1+1="), engine.encode("2"))])

    def test_a_dtype_can_be_chosen(self, plain_folder: Path) -> None:
        engine = TransformersEngine.load(plain_folder, ModelOptions(dtype="bfloat16", max_model_len=100))
        assert engine.fingerprint()["dtype"] == "bfloat16"
        assert engine.context_length == 100


class TestLoad:
    def refused(self, folder: Path, **options: object) -> JobError:
        with pytest.raises(JobError) as failure:
            TransformersEngine.load(folder, ModelOptions.model_validate(options))
        return failure.value

    @pytest.fixture
    def copied(self, tmp_path: Path) -> Path:
        from tests.vllm.models import plain_model

        return plain_model(tmp_path / "model")

    def test_a_torn_file_of_weights(self, copied: Path) -> None:
        weights = copied / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:5000])
        assert self.refused(copied).code == "model_not_loadable"

    def test_weights_that_no_memory_holds(self, copied: Path) -> None:
        """A file of 8 GiB, nearly all of it a hole, which fits once, and safetensors and torch each map it."""
        header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 31], "data_offsets": [0, 1 << 33]}}).encode()
        with (copied / "model.safetensors").open("wb") as weights:
            weights.write(len(header).to_bytes(8, "little") + header)
            weights.truncate(8 + len(header) + (1 << 33))
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (taken + (12 << 30), hard))
        try:
            error = self.refused(copied)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        assert (error.code, error.param) == ("out_of_memory", "model.options")

    @pytest.mark.parametrize(
        "changes",
        [
            {"model_type": "of_nobody", "architectures": ["NobodyForCausalLM"]},
            {"num_hidden_layers": 3},
            {"hidden_size": 96},
            {"vocab_size": 200},
            {"num_attention_heads": "two"},
            {"max_position_embeddings": None},
            {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        ],
    )
    def test_a_configuration_that_does_not_fit(self, copied: Path, changes: dict[str, object]) -> None:
        change(copied / "config.json", **changes)
        error = self.refused(copied)
        assert (error.code, error.category) == ("model_not_loadable", "user")

    def test_a_tokenizer_that_is_none(self, copied: Path) -> None:
        (copied / "tokenizer.json").write_text("{}")
        assert self.refused(copied).code == "model_not_loadable"

    def test_options_that_it_does_not_have(self, copied: Path) -> None:
        for options in ({"tensor_parallel": 2}, {"quantization": "fp8"}):
            error = self.refused(copied, **options)
            assert (error.code, error.param) == ("engine_option_not_supported", f"model.options.{next(iter(options))}")
        assert self.refused(copied, max_model_len=257).code == "context_too_long"
