"""A trained model's weights under the names of its files, and its LoRA adapter as PEFT writes one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file


def file_weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:  # noqa: ANN401 - transformers has no types
    """All weights of a model under the names that its files have, of a LoRA model the merged ones.

    A tied output layer comes too, as a weight of its own.
    """
    from transformers.core_model_loading import revert_weight_conversion

    model = _inner(model)
    weights = {
        # PEFT moves what it adapts to `base_layer`, beside its own `lora_A` and `lora_B`
        name.replace(".base_layer.", "."): weight
        for name, weight in model.state_dict().items()
        if ".lora_" not in name
    }
    for name, layer in _adapted(model):
        weight = weights[f"{name}.weight"]
        delta = sum(layer.get_delta_weight(adapter).float() for adapter in layer.active_adapters)
        weights[f"{name}.weight"] = (weight.float() + delta).to(weight.dtype)
    # transformers keeps some layers in another shape than the files do (experts in one tensor)
    yield from revert_weight_conversion(model, weights).items()


def write_adapter(model: Any, folder: Path) -> None:  # noqa: ANN401
    """Writes the active LoRA adapter of a model as PEFT does; its other adapters (a self-teacher's) stay out."""
    from peft import get_peft_model_state_dict  # imported here: it costs a second

    model = _inner(model)
    (adapter,) = next(layer.active_adapters for _, layer in _adapted(model))
    tensors = get_peft_model_state_dict(model, adapter_name=adapter, save_embedding_layers=False)
    named = {f"base_model.model.{name}": tensor.contiguous() for name, tensor in tensors.items()}
    save_file(named, folder / "adapter_model.safetensors")
    model.peft_config[adapter].save_pretrained(folder)


def _inner(model: Any) -> Any:  # noqa: ANN401
    """The transformers model inside of a PeftModel; its adapted layers are in it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _adapted(model: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Layers with LoRA weights, by name."""
    return ((name, module) for name, module in model.named_modules() if hasattr(module, "get_delta_weight"))
