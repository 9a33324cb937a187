"""Weights of a running vLLM engine: all of them replaced in place, or LoRA adapters swapped over them."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import torch
import transformers
from transformers.pytorch_utils import Conv1D

from workers.engines.folder import read_json

Options = dict[str, Any]
"""Keyword arguments of a class of vLLM's, which need not be installed."""


def reload_weights(llm: Any, named: Iterable[tuple[str, torch.Tensor]]) -> None:  # noqa: ANN401 - vllm need not be installed
    """Replaces all weights of a `vllm.LLM` in place, layer by layer; nothing of `named` is kept.

    vLLM 0.32 restores each layer as it was before its weights were laid out for its kernels, loads it and lays it out
    again (`vllm.model_executor.model_loader.reload`). A layer that gets nothing keeps its old layout, so a tied output
    layer must be sent too: on a GPU it shares the embeddings' memory, but a CPU's kernels hold a copy of it.
    """
    # what has no weights in a checkpoint (rotary embeddings) would be warned of at every step
    logging.getLogger("vllm.model_executor.model_loader.reload.layerwise").setLevel(logging.ERROR)
    dtype = llm.model_config.dtype
    llm.collective_rpc(
        "reload_weights", kwargs={"weights_iterator": ((name, weight.detach().to(dtype)) for name, weight in named)}
    )


def adapter_options(folder: Path, rank: int | None, dtype: str, *, gpu: bool) -> Options:
    """Options of `vllm.LLM` with which it takes LoRA adapters of this rank, one at a time; empty where it cannot.

    vLLM 0.32 has slots of a few ranks up to 512, its kernels for GPUs compute adapters in 16 bits alone, and some
    architectures (GPT-2) take none.
    """
    from vllm.config.lora import MaxLoRARanks
    from vllm.model_executor.models import ModelRegistry, supports_lora

    slots = [slot for slot in get_args(MaxLoRARanks) if rank is not None and slot >= rank]
    if not slots or (gpu and dtype == "float32"):
        return {}
    known = [ModelRegistry.models.get(name) for name in read_json(folder / "config.json").get("architectures") or []]
    if not all(entry is not None and supports_lora(entry.load_model_cls()) for entry in known):
        return {}
    return {
        "enable_lora": True,
        "max_lora_rank": min(slots),
        "max_loras": 1,  # the newest; another evicts it
        "lora_target_modules": linear_modules(folder),
    }


def linear_modules(folder: Path) -> list[str]:
    """Last names of a model's linear layers without its output layer, which are what PEFT calls `all-linear`.

    With a slot at the output layer vLLM 0.32 could not score: the log-probabilities of a prompt fail there, or lack the
    adapter (vllm-project/vllm#16668, #51594).
    """
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    head = model.get_output_embeddings()
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    ]
    return sorted({name.rpartition(".")[2] for name in linear})
