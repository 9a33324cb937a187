"""The form's fields. Names are paths in the request's body; limits, defaults and choices come from its schemas."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gapcast import words
from gapcast.contract.catalog import ContextKindOut, Model, Task
from gapcast.contract.contexts import (
    KINDS,
    AllOptions,
    ColumnOptions,
    Corruption,
    FeedbackOptions,
    HintsOptions,
    PeerSolutionOptions,
    PlaceboOptions,
    StaticOptions,
)
from gapcast.contract.measured import Decoding
from gapcast.contract.probes import ProbeSize
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import USUAL_PROBLEMS, TrainingConfiguration

POINTS = 100
"""of accuracy in 1, the API's unit"""


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
    choices: Sequence[tuple[str, str]]
    """What is sent, and what is read."""
    checkbox: bool
    checked: bool
    longest: int | None
    empty: str
    """What an empty input means."""
    wide: bool
    """Whether it takes the form's whole width."""
    when: str
    """`option=value`: the value that another option must have for this one to mean anything; empty: any."""
    scale: int
    """What the API's number is multiplied by to be shown."""
    kinds: Collection[str] = ()
    """The context kinds that it is for; empty: all."""

    @property
    def id(self) -> str:
        """The element's id."""
        return self.name.replace(".", "-")


def field(
    path: str,
    schema: type[BaseModel],
    label: str,
    note: str = "",
    *,
    empty: str = "",
    words: Mapping[str, str] | None = None,
    wide: bool = False,
    when: str = "",
    scale: int = 1,
) -> Field:
    """Describe the input of one field of a schema; the path's last part is the field's name."""
    info = schema.model_fields[path.rpartition(".")[2]]
    default = info.get_default()
    whole, text = info.annotation in (int, int | None), info.annotation in (str, str | None)
    maximum = _limit(info, "le")
    below = _limit(info, "lt")
    if below is not None and whole:
        maximum = below - 1
    return Field(
        name=path,
        label=label,
        note=note,
        value="" if default is None else str(default),
        minimum=_scaled(_limit(info, "ge") if _limit(info, "gt") is None else _limit(info, "gt"), scale),
        maximum=_scaled(maximum, scale),
        whole=whole,
        choices=[(one, (words or {}).get(one, one.replace("_", " "))) for one in _choices(info.annotation)],
        checkbox=info.annotation is bool,
        checked=default is True,
        longest=_limit(info, "max_length") or (schema.model_config.get("str_max_length") if text else None),
        empty=empty,
        wide=wide,
        when=when,
        scale=scale,
    )


def _limit(info: FieldInfo, name: str) -> int | None:
    limits: list[int] = [getattr(rule, name) for rule in info.metadata if hasattr(rule, name)]
    return limits[0] if limits else None


def _scaled(limit: int | None, scale: int) -> int | None:
    return None if limit is None else limit * scale


def _choices(annotation: Any) -> Sequence[str]:  # noqa: ANN401
    """The words that a field takes, null or not."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((get_args(one) for one in get_args(annotation) if get_origin(one) is Literal), ())


class Choice(NamedTuple):
    """A model, a task or a context kind that can be chosen."""

    value: str
    text: str
    note: str
    """what it is, said below the list"""
    data: Mapping[str, str]
    """what else of the form depends on it"""


class Choices(NamedTuple):
    """What can be chosen on this server."""

    models: Sequence[Choice]
    tasks: Sequence[Choice]
    kinds: Sequence[Choice]


SOURCES = {"lab": "comes with Gapcast", "folder": "a folder of this server", "server": "on a vLLM server"}


def choices(models: Sequence[Model], tasks: Sequence[Task], kinds: Sequence[ContextKindOut]) -> Choices:
    """Describe what can be chosen; a task that is not ready cannot be measured."""
    return Choices(
        [_model(one) for one in models],
        [_task(one) for one in tasks if one.status == "ready"],
        [_kind(one) for one in kinds],
    )


def _model(one: Model) -> Choice:
    size = f"{words.model_size(one.parameters)} parameters" if one.parameters is not None else ""
    note = ", ".join(part for part in (f"family {one.family}", size, SOURCES[one.source]) if part)
    return Choice(one.name, one.name, note, {"source": one.source, "thinking": str(one.thinking).lower()})


def _task(one: Task) -> Choice:
    checked = f", {words.percent(one.self_check.share)} scored as they must be" if one.self_check is not None else ""
    note = f"{one.train_problems:,} training problems, verifier {words.plain(one.verifier)}{checked}"
    data = {"problems": str(one.train_problems), "hints": str(one.hint_levels), "tokens": f"{one.max_tokens:,}"}
    return Choice(one.name, one.name, note, data)


def _kind(one: ContextKindOut) -> Choice:
    return Choice(one.kind, words.plain(one.kind), one.description.replace("`", ""), {})


@dataclass(frozen=True, kw_only=True)
class Control:
    """A control that a probe can run beside `none`."""

    name: str
    label: str
    kinds: Collection[str]
    """of the contexts that can have it"""
    checked: bool


_WORDED = [
    field("context.options.of", PlaceboOptions, "Another problem's", "shown in place of the problem's own", wide=True),
    field(
        "context.options.column",
        ColumnOptions,
        "Column",
        "of the task file",
        words={"privileged_context": "privileged_context"},
        wide=True,
    ),
    field("context.options.source", HintsOptions, "Hints from", words={"task": "the task", "model": "the model"}),
    field("context.options.level", HintsOptions, "Hints shown", empty="all", when="source=task"),
    field(
        "context.options.extract_from",
        HintsOptions,
        "Extracted from",
        "a correct one",
        words={"peer": "a peer's solution", "reference": "the reference"},
        when="source=model",
    ),
    field("context.options.max_cases", AllOptions, "Failing cases", "shown, at most"),
    field(
        "context.options.on_success",
        FeedbackOptions,
        "After a success",
        "of the student",
        words={"none": "no context"},
    ),
    field("context.options.show_expected", FeedbackOptions, "Show expected outputs", "gives answers away", wide=True),
    field("context.options.strip_thinking", PeerSolutionOptions, "Leave out the peer's thinking", wide=True),
    field("context.options.feedback_with_solution", AllOptions, "Feedback beside a peer's solution too", wide=True),
    field(
        "context.options.text",
        StaticOptions,
        "Text",
        "one text for every problem",
        empty="the task's own preamble",
        wide=True,
    ),
]
_CORRUPTION = [
    field("context.options.corruption.rate", Corruption, "Wrong contexts", "share of contexts"),
    field("context.options.corruption.coverage", Corruption, "Coverage", "share of problems"),
]


def _context_options() -> list[Field]:
    """Describe the inputs of every option of every kind; one that has no words here is called by its name."""
    fields = {one.name: one for one in _WORDED}
    for context in KINDS.values():
        schema = context.options_class()
        for name, info in schema.model_fields.items():
            path = f"context.options.{name}"
            if path not in fields and name not in {"corruption", "options"}:  # their fields stand for themselves
                label, default = name.replace("_", " ").capitalize(), info.get_default()
                empty = "null" if default is None else default if isinstance(default, str) else ""
                fields[path] = field(path, schema, label, info.description or "", empty=empty, wide=True)
    return [replace(one, kinds=_takers(one.name)) for one in (*fields.values(), *_CORRUPTION)]


def _takers(name: str) -> list[str]:
    """Name the kinds that take the option that an input is of, or is part of."""
    return [kind for kind, context in KINDS.items() if name.split(".")[2] in context.options_class().model_fields]


CONTEXT_OPTIONS = _context_options()
PROBE = [
    field("probe.problems", ProbeSize, "Problems", "problems"),
    field("probe.rollouts", ProbeSize, "Rollouts", "per problem"),
    field("probe.seed", ProbeSize, "Seed", "same seed, same counts"),
]
PROBE_END = [
    field(
        "probe.target_half_width",
        ProbeSize,
        "Stop within",
        f"± {words.POINTS} of the prediction",
        empty="fixed size",
        scale=POINTS,
    ),
    field(
        "probe.engine",
        ProbeSize,
        "Engine",
        "auto: by the worker",
        words={"vllm": "vLLM", "vllm-server": "vLLM server"},
    ),
]
_PLACEBO = sorted(kind for kind, context in KINDS.items() if not context.is_control)
_SHUFFLED = sorted(kind for kind, context in KINDS.items() if context.shows_feedback)
CONTROLS = [
    Control(name="placebo", label="Placebo", kinds=_PLACEBO, checked=True),
    Control(name="shuffled_feedback", label="Shuffled feedback", kinds=_SHUFFLED, checked=False),
]
DECODING = [
    field("decoding.temperature", Decoding, "Temperature", "0: greedy"),
    field("decoding.max_tokens", Decoding, "Max tokens", "tokens per rollout", empty="the task's"),
    field("decoding.thinking", Decoding, "Thinking mode", "of the model's chat template", wide=True),
]
TRAINING = [
    replace(field(name, TrainingConfiguration, label, note, empty=f"{USUAL_PROBLEMS}, or all"), value="")
    for name, label, note in (
        ("training.problems", "Training problems", "of the task"),
        ("training.evaluation_problems", "Evaluated on", "training problems"),
    )
]
RECIPE = [
    field("recipe.steps", Recipe, "Steps", "optimizer steps"),
    field("recipe.learning_rate", Recipe, "Learning rate", "AdamW", empty="by model size"),
    field("recipe.divergence", Recipe, "Divergence", "loss per token", words=words.DIVERGENCES),
    field("recipe.teacher", Recipe, "Teacher", "weights of the self-teacher", words=words.TEACHERS),
]
