"""The weights that are trained: all of a model, or a LoRA adapter on it."""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingOptions
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError
from workers.opsd.network import Network, require_plain_head
from workers.opsd.sharding import placed, whole
from workers.tasks import derive_seed

ADAPTER = "student"
DROPOUTS = ("dropout", "attention_dropout", "activation_dropout", "attn_dropout")
"""What layers of transformers call the rates that they hand to functions."""
LORA_SCALE = 2
"""lora_alpha over the rank: the usual choice, so that one learning rate does for all ranks."""


class Student:
    """The model that a transformers engine has loaded, made trainable in place."""

    def __init__(self, engine: TransformersEngine, recipe: Recipe, options: TrainingOptions, seed: int) -> None:
        self.model = engine.model
        self.end = engine.end
        self.lora = recipe.lora_rank is not None
        require_plain_head(self.model, engine.encode("1"))
        self.model.requires_grad_(not self.lora)
        if recipe.lora_rank is not None:
            self.lora_config = _lora(recipe.lora_rank)
            torch.manual_seed(derive_seed("lora", seed))
            add_adapter(self.model, self.lora_config, ADAPTER)
        else:
            self.model.float()
        if options.gradient_checkpointing:
            _without_dropout(self.model)
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self._checkpointing = options.gradient_checkpointing
        half = options.precision == "bfloat16" or (options.precision == "auto" and torch.cuda.is_available())
        self.precision = torch.bfloat16 if half else torch.float32
        self.network = Network(self.model)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    @property
    def trained(self) -> dict[str, torch.nn.Parameter]:
        """The trained parameters by name; those of the adapter alone with LoRA."""
        return {
            name: parameter
            for name, parameter in self.model.named_parameters()
            if not self.lora or f".{ADAPTER}." in name
        }

    def passes(self) -> AbstractContextManager[Any]:
        """In which every pass runs, rollouts among them: bfloat16 where that is the precision."""
        if self.precision == torch.float32:
            return nullcontext()
        autocast: AbstractContextManager[Any] = torch.autocast(self.device.type, dtype=self.precision)
        return autocast

    @contextmanager
    def learning(self) -> Iterator[None]:
        """From a forward pass to its backward pass: transformers computes activations again only while it trains."""
        if self._checkpointing:
            self.model.train()
        try:
            yield
        finally:
            self.model.eval()

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the trained weights on the CPU; of tied ones each once; of sharded ones see `whole`."""
        return {name: parameter.detach().cpu().clone() for name, parameter in whole(self.trained)}

    def load(self, weights: dict[str, torch.Tensor]) -> None:
        """Takes the weights of a checkpoint."""
        load_weights(self.trained, weights)


def add_adapter(model: Any, config: Any, name: str) -> None:  # noqa: ANN401 - peft and transformers have no types
    """Adds a LoRA adapter in float32 and makes it the active one; not yet trained, it is the identity."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # the teacher's beside it
        model.add_adapter(config, adapter_name=name)
    for parameter_name, parameter in model.named_parameters():
        if f".{name}." in parameter_name:
            parameter.data = parameter.data.float()
    model.set_adapter(name)


def _without_dropout(model: Any) -> None:  # noqa: ANN401
    """Training differs from evaluation in nothing but its gradients, however their activations are kept."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in DROPOUTS:
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def load_weights(parameters: dict[str, torch.nn.Parameter], weights: dict[str, torch.Tensor]) -> None:
    """Copies weights into the parameters of the same names.

    Raises:
        JobError: `checkpoint_mismatch`: they are another model's, or another recipe's.
    """
    shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    if shapes != {name: tuple(weight.shape) for name, weight in weights.items()}:
        raise JobError(
            "checkpoint_mismatch", "The checkpoint has other weights than this model with this recipe.", None, "server"
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(placed(weights[name], parameter))


def _lora(rank: int) -> Any:  # noqa: ANN401 - peft has no types
    from peft import LoraConfig  # imported here: it costs a second, and most runs train all weights

    return LoraConfig(
        r=rank, lora_alpha=LORA_SCALE * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
