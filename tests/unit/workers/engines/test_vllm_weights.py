"""What of the weights of a vLLM engine needs no vLLM."""

from pathlib import Path

import transformers

from workers.engines.vllm_weights import linear_modules

LAYERS = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def test_linear_layers_are_those_that_an_adapter_is_trained_for(plain_folder: Path) -> None:
    assert linear_modules(plain_folder) == LAYERS


def test_an_output_layer_of_its_own_is_none_of_them(tmp_path: Path) -> None:
    transformers.LlamaConfig(
        vocab_size=99, hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2,
        tie_word_embeddings=False,
    ).save_pretrained(tmp_path)  # fmt: skip
    assert linear_modules(tmp_path) == LAYERS


def test_gpt2_has_its_own_kind_of_linear_layers(tmp_path: Path) -> None:
    transformers.GPT2Config(vocab_size=99, n_embd=64, n_layer=1, n_head=2).save_pretrained(tmp_path)
    assert linear_modules(tmp_path) == ["c_attn", "c_fc", "c_proj"]
