"""The form's fields. Names are paths in the request's body; limits, defaults and choices come from its schemas."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.catalog.contexts import Corruption, HintsOptions, StaticOptions
from service.catalog.schemas import ProbeSize, Recipe


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input of the form."""

    name: str
    label: str
    note: str
    """The unit, or what the number means."""
    value: str
    """Empty where the default is null; an empty input is left out of the body."""
    minimum: float | None
    maximum: float | None
    whole: bool
    choices: Sequence[str]
    longest: int | None
    empty: str
    """What an empty input means."""

    @property
    def id(self) -> str:
        """The element's id."""
        return self.name.replace(".", "-")


def field(path: str, schema: type[BaseModel], label: str, note: str = "", empty: str = "") -> Field:
    """Describe the input of one field of a schema; the path's last part is the field's name."""
    info = schema.model_fields[path.rpartition(".")[2]]
    default = info.get_default()
    whole = info.annotation in (int, int | None)
    maximum = _limit(info, "le")
    below = _limit(info, "lt")
    return Field(
        name=path,
        label=label,
        note=note,
        value="" if default is None else str(default),
        minimum=_limit(info, "ge") if _limit(info, "gt") is None else _limit(info, "gt"),
        maximum=below - 1 if below is not None and whole else maximum,
        whole=whole,
        choices=get_args(info.annotation) if get_origin(info.annotation) is Literal else (),
        longest=_limit(info, "max_length"),
        empty=empty,
    )


def _limit(info: FieldInfo, name: str) -> int | None:
    limits: list[int] = [getattr(rule, name) for rule in info.metadata if hasattr(rule, name)]
    return limits[0] if limits else None


CONTEXT_OPTIONS = [
    field("context.options.level", HintsOptions, "Hints shown", "hints per problem", empty="all"),
    field("context.options.text", StaticOptions, "Text", "one text for every problem", empty="the task's own preamble"),
    field("context.options.corruption.rate", Corruption, "Corruption rate", "share of contexts, 0 to 1"),
    field("context.options.corruption.coverage", Corruption, "Coverage", "share of problems, 0 to 1"),
]
PROBE = [
    field("probe.problems", ProbeSize, "Problems", "problems"),
    field("probe.rollouts", ProbeSize, "Rollouts", "rollouts per problem"),
    field("probe.seed", ProbeSize, "Seed", "same seed, same counts"),
]
RECIPE = [
    field("recipe.steps", Recipe, "Steps", "optimizer steps"),
    field("recipe.learning_rate", Recipe, "Learning rate", "AdamW"),
    field("recipe.divergence", Recipe, "Divergence", "loss per token"),
    field("recipe.teacher", Recipe, "Teacher", "weights of the self-teacher"),
]
