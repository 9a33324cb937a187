"""What is sent to vLLM, by what the model's files and PEFT say; that it arrives is shown in tests/vllm."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from workers.engines import model_folder
from workers.opsd.adapters import file_weights, write_adapter

MODEL = "lab/addition-qwen3-s"

pytestmark = pytest.mark.filterwarnings("ignore:Already found a `peft_config` attribute")  # two adapters are meant


def loaded() -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(model_folder(MODEL), dtype=torch.float32)


def lora(seed: int) -> LoraConfig:
    torch.manual_seed(seed)
    # not the identity: as if it had been trained
    return LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)


@pytest.fixture
def adapted() -> Any:
    """A model with a student's adapter, which is the active one, and a self-teacher's."""
    model = loaded()
    for seed, name in enumerate(("student", "teacher")):
        model.add_adapter(lora(seed), adapter_name=name)
    model.set_adapter("student")
    return model


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.arange(2, 66)[None]).logits
    return found


class TestFileWeights:
    def test_they_are_those_of_the_files_and_the_tied_output_layer(self) -> None:
        sent = dict(file_weights(loaded()))
        files = load_file(model_folder(MODEL) / "model.safetensors")
        assert "lm_head.weight" not in files
        assert sent.pop("lm_head.weight") is not None
        assert sent.keys() == files.keys()
        for name, weight in files.items():
            assert torch.equal(sent[name], weight.float())

    def test_an_output_layer_of_its_own_is_sent_as_it_is(self) -> None:
        model = loaded()
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() + 1)
        sent = dict(file_weights(model))
        assert torch.equal(sent["lm_head.weight"], sent["model.embed_tokens.weight"] + 1)

    def test_experts_come_one_by_one(self, tmp_path: Path) -> None:
        config = transformers.Qwen3MoeConfig(
            vocab_size=99, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
            num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, head_dim=32,
        )  # fmt: skip
        model = transformers.AutoModelForCausalLM.from_config(config)
        model.save_pretrained(tmp_path)
        files = load_file(tmp_path / "model.safetensors")
        sent = dict(file_weights(model))
        assert "model.layers.0.mlp.experts.3.up_proj.weight" in files
        assert sent.keys() == files.keys() | {"lm_head.weight"}
        assert all(torch.equal(sent[name], weight) for name, weight in files.items())

    @pytest.mark.parametrize("wrapped", [False, True])
    def test_an_active_adapter_is_merged(self, adapted: Any, wrapped: bool) -> None:
        model = get_peft_model(loaded(), lora(0)) if wrapped else adapted
        expected, plain = logits(model), loaded()
        assert not torch.allclose(logits(plain), expected, atol=1e-1)
        plain.load_state_dict(dict(file_weights(model)))
        assert torch.allclose(logits(plain), expected, atol=1e-4)
        assert torch.equal(logits(model), expected)  # what is trained stays as it is


class TestWriteAdapter:
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_peft_reads_the_active_one(self, adapted: Any, wrapped: bool, tmp_path: Path) -> None:
        model = get_peft_model(loaded(), lora(0)) if wrapped else adapted
        write_adapter(model, tmp_path)
        read = PeftModel.from_pretrained(loaded(), str(tmp_path))
        assert torch.allclose(logits(read), logits(model), atol=1e-5)
        assert not torch.allclose(logits(read), logits(loaded()), atol=1e-1)

    def test_another_one_stays_out(self, adapted: Any, tmp_path: Path) -> None:
        write_adapter(adapted, tmp_path)
        files = load_file(tmp_path / "adapter_model.safetensors")
        assert len(files) == 2 * 7 * 2  # A and B of seven linear layers, in two layers
        assert not [name for name in files if "student" in name or "teacher" in name]
