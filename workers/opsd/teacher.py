"""Self-teachers: the student's weights as they were, as their moving average, or held near to where they began."""

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from gapcast.contract.recipes import Recipe
from workers.opsd.losses import TeacherPart
from workers.opsd.network import Network, Packed
from workers.opsd.sharding import reshard, shard, whole
from workers.opsd.student import ADAPTER as STUDENT_ADAPTER
from workers.opsd.student import Student, add_adapter, load_weights
from workers.opsd.world import World

ADAPTER = "teacher"
_DOT_STUDENT, _DOT_TEACHER = f".{STUDENT_ADAPTER}.", f".{ADAPTER}."


class Teacher:
    """One of the recipe's three rules (OPSD.md, Trainer).

    `frozen`: the model before training. `ema`: after every step, teacher += rate x (student - teacher), over the
    trained weights. `trust_region`: the log-linear mix of the model before training (1 - rate) and the student of now
    (rate).
    With LoRA all of them share the model's own weights: the one before training is the model without its adapter.
    """

    def __init__(self, student: Student, recipe: Recipe, world: World) -> None:
        self._student, self._rate, self._world = student, recipe.ema_rate, world
        self._mix = recipe.trust_rate
        if not student.lora:
            model = copy.deepcopy(student.model).requires_grad_(False)
            model.gradient_checkpointing_disable()
            self._network = Network(model)
            # an average that moves by a twentieth of a small step needs all its digits; a frozen copy does not. FSDP2
            # wants one precision in a layer, and a part of the weights is small.
            if self._rate is None and world.size == 1:
                _lighten(model, student.precision)
            return
        self._network = student.network
        if self._rate is not None:
            add_adapter(student.model, student.lora_config, ADAPTER)
            student.model.set_adapter(STUDENT_ADAPTER)
            self.load({name.replace(_DOT_STUDENT, _DOT_TEACHER): one for name, one in student.weights().items()})

    def shard(self) -> None:
        """Leaves this process with its part of the weights that are not the student's."""
        if not self._student.lora:
            shard(self._network, self._student.precision, self._world)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def parts(self, packed: Packed) -> list[TeacherPart]:
        """The teacher's hidden states for prompts with context, with the heads and weights that make it."""
        with self._weights():
            before = TeacherPart(self._network(packed), self._network.head, 1 - (self._mix or 0))
        if self._mix is None:
            return [before]
        student = self._student.network
        return [before, TeacherPart(student(packed), student.head, self._mix)]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def follow(self) -> None:
        """After an optimizer step: the average moves."""
        reshard(self._network)
        if self._rate is None:
            return
        trained = self._student.trained
        for name, parameter in self._averaged().items():
            parameter.lerp_(trained[name.replace(_DOT_TEACHER, _DOT_STUDENT)], self._rate)

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of what a checkpoint must hold: the average; what is frozen is the pinned model's."""
        return {name: parameter.detach().cpu().clone() for name, parameter in whole(self._averaged())}

    def load(self, weights: dict[str, torch.Tensor]) -> None:
        """Takes the average of a checkpoint."""
        load_weights(self._averaged(), weights)

    def _averaged(self) -> dict[str, torch.nn.Parameter]:
        if self._rate is None:
            return {}
        named = self._network.model.named_parameters()
        return {name: parameter for name, parameter in named if not self._student.lora or _DOT_TEACHER in name}

    def _weights(self) -> AbstractContextManager[None]:
        if not self._student.lora:
            return nullcontext()
        return self._adapter()

    @contextmanager
    def _adapter(self) -> Iterator[None]:
        """The shared model with the teacher's adapter, or without any."""
        model = self._student.model
        if self._rate is None:
            model.disable_adapters()
        else:
            model.set_adapter(ADAPTER)
        try:
            yield
        finally:
            if self._rate is None:
                model.enable_adapters()
            model.set_adapter(STUDENT_ADAPTER)


def _lighten(model: Any, precision: torch.dtype) -> None:  # noqa: ANN401 - transformers has no types
    """Keeps the weights of linear layers as autocast would have them for each pass, and all else as the student has it.

    So a teacher computes what a student with its weights does, bit for bit: norms and residuals stay in float32.
    """
    tied = model.get_input_embeddings().weight
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and module.weight is not tied:
            module.to(precision)
