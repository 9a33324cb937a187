"""The kinds of privileged context and their options (DESIGN.md, Vocabulary; OPSD.md, Contexts).

A kind is one class here, named in `Content`, and one builder in `workers.contexts.kinds`; nothing else names them all.
Imports pydantic alone, because the worker's child process reads it too and must not import database code.
"""

import hashlib
import json
from collections.abc import Mapping
from inspect import getdoc
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self, get_args

from pydantic import (
    Field,
    SerializeAsAny,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from gapcast.contract.base import FieldError, Strict
from gapcast.contract.tagged import NAMED_AS_SENT


class Corruption(Strict):
    """How much of the privileged context is wrong or missing."""

    rate: float = Field(0.0, ge=0, le=1, description="share of contexts that are wrong: those of another problem")
    coverage: float = Field(1.0, ge=0, le=1, description="share of problems that get a context at all")


class NoOptions(Strict):
    """`none` has nothing to choose."""


class CorruptibleOptions(Strict):
    """Options of `reference_solution`, and of every kind that has more."""

    corruption: Corruption = Field(default_factory=Corruption)


class StaticOptions(CorruptibleOptions):
    """Options of `static`."""

    text: str | None = Field(None, min_length=1, max_length=2000, description="null: the task's own preamble")


class FeedbackOptions(CorruptibleOptions):
    """Options of `feedback` and `shuffled_feedback`."""

    max_cases: int = Field(1, ge=1, le=16, description="the most failing cases that are shown")
    show_expected: bool = Field(
        False, description="true: failing cases show the expected output, which leaks the answer"
    )
    on_success: Literal["feedback", "none"] = Field(
        "feedback", description="the context of a successful attempt: the feedback that it is right, or none"
    )


class HintsOptions(CorruptibleOptions):
    """Options of `hints`."""

    source: Literal["task", "model"] = Field(
        "task", description="`task`: the task's own graded hints; `model`: extracted by the model from a solution"
    )
    level: int | None = Field(
        None, ge=1, le=64, description="with source `task`: how many graded hints are shown; null: all"
    )
    extract_from: Literal["peer", "reference"] | None = Field(
        None,
        validate_default=True,
        description="with source `model`: from a correct attempt of the group (the default there), or from the "
        "reference solution",
    )

    @model_validator(mode="after")
    def _belong_to_their_source(self) -> Self:
        if self.source == "model":
            if self.level is not None:
                raise FieldError(
                    "level",
                    "belongs to the source 'task', and source is 'model'. Leave it out, or set source to 'task'.",
                    self.level,
                )
            self.extract_from = self.extract_from or "peer"
        elif self.extract_from is not None:
            raise FieldError(
                "extract_from",
                "belongs to the source 'model'. Leave it out, or set source to 'model'.",
                self.extract_from,
            )
        return self


class PeerSolutionOptions(CorruptibleOptions):
    """Options of `peer_solution`."""

    strip_thinking: bool = Field(True, description="true: the peer's thinking is left out")


class AllOptions(FeedbackOptions, PeerSolutionOptions):
    """Options of `all`."""

    feedback_with_solution: bool = Field(False, description="true: feedback is shown beside a peer's solution too")


class ColumnOptions(CorruptibleOptions):
    """Options of `column`."""

    column: Literal["privileged_context"] = "privileged_context"


class TaskFacts(Protocol):
    """The facts of a task that decide whether it can give a context; null: not known."""

    name: str
    hint_levels: int
    with_reference_solution: int | None
    with_privileged_context: int | None


def _require(
    task: TaskFacts, field: Literal["reference_solution", "privileged_context"], param: str, value: str
) -> None:
    if getattr(task, f"with_{field}") == 0:
        message = (
            f"the training problems of {task.name} have no `{field}`. Upload the task with it, or choose another kind."
        )
        raise FieldError(param, message, value)


class ContextOfAKind(Strict):
    """A context kind with its options; defaults are filled in, so that the answer records them."""

    example: ClassVar[Strict]
    """Options that a first try might choose."""
    is_control: ClassVar[bool] = False
    """True if the kind should show nothing and so has no placebo."""
    shows_feedback: ClassVar[bool] = False
    """True if the control `shuffled_feedback` has something to shuffle."""

    kind: str
    options: Strict

    @classmethod
    def name(cls) -> str:
        """Return the tag of the class."""
        return str(get_args(cls.model_fields["kind"].annotation)[0])

    @classmethod
    def description(cls) -> str:
        """Return the kind in words, its docstring."""
        return " ".join((getdoc(cls) or "").split())

    @classmethod
    def options_class(cls) -> type[Strict]:
        """Return the class of its options."""
        options = cls.model_fields["options"].annotation
        assert isinstance(options, type)  # noqa: S101 - tells the type checker
        return options

    @property
    def corruption(self) -> Corruption:
        """The corruption asked for; none where the kind takes none."""
        return Corruption()

    @property
    def content(self) -> "ContextOfAKind":
        """The context that is shown: for a placebo the one that it takes from another problem, else itself."""
        return self

    @property
    def needs_group(self) -> bool:
        """True if it depends on the other attempts of the rollout's group, and so on the recipe's group size."""
        return False

    @property
    def shows_task_text(self) -> bool:
        """True if it shows a text of the task's own that its options do not say."""
        return False

    def check(self, task: TaskFacts) -> None:
        """Refuse a task that cannot give what the context shows, as far as it is known of it.

        Raises:
            FieldError: names the option, or `kind` where no training problem has its text.
        """

    def placebo(self) -> "Context":
        """The control with another problem's context of this kind."""
        return PlaceboContext.model_validate({"kind": "placebo", "options": {"of": self.kind, "options": self.options}})

    def shuffled_feedback(self) -> "Context":
        """The control with the feedback on another problem's attempt, as verbose as this kind's feedback."""
        options = FeedbackOptions.model_validate(self.options.model_dump(include=set(FeedbackOptions.model_fields)))
        return ShuffledFeedbackContext(kind="shuffled_feedback", options=options)


class NoneContext(ContextOfAKind):
    """No context: a second sample of exactly the student's prompt. The A/A control."""

    example = NoOptions()
    is_control = True

    kind: Literal["none"]
    options: NoOptions = NoOptions()


class CorruptibleContext(ContextOfAKind):
    """A kind whose contexts can be wrong or missing on purpose."""

    options: CorruptibleOptions

    @property
    def corruption(self) -> Corruption:
        """The corruption asked for."""
        return self.options.corruption


class StaticContext(CorruptibleContext):
    """One text for every problem, an expert preamble for example."""

    example = StaticOptions(text="You are an expert in competitive programming. Test the edge cases first.")

    kind: Literal["static"]
    options: StaticOptions = StaticOptions()

    @property
    def shows_task_text(self) -> bool:
        """True if it is the task's own preamble."""
        return self.options.text is None


class FeedbackContext(CorruptibleContext):
    """The verifier's feedback on the student's own attempt."""

    example = FeedbackOptions(max_cases=2)
    shows_feedback = True

    kind: Literal["feedback"]
    options: FeedbackOptions = FeedbackOptions()


class HintsContext(CorruptibleContext):
    """Partial information about the solution: the task's own graded hints, or hints that the model extracts from a correct solution."""  # noqa: E501

    example = HintsOptions(level=1)

    kind: Literal["hints"]
    options: HintsOptions = HintsOptions()

    @property
    def needs_group(self) -> bool:
        """True if the hints are extracted from a peer's solution."""
        return self.options.extract_from == "peer"

    def check(self, task: TaskFacts) -> None:
        """Refuse a task without the hints, or without the solution that they are extracted from."""
        if self.options.source == "model":
            if self.options.extract_from == "reference":
                _require(task, "reference_solution", "options.extract_from", "reference")
            return
        level, levels = self.options.level, task.hint_levels
        if not levels:
            message = f"{task.name} has no hints. Upload it with `hints`, or set source to 'model'."
            raise FieldError("kind", message, self.kind)
        if level is not None and level > levels:
            message = f"expected at most {levels}, the hints that {task.name} has, got {level}."
            raise FieldError("options.level", message, level)


class PeerSolutionContext(CorruptibleContext):
    """The first successful attempt of the rollout's group other than the rollout itself, without its thinking.

    A rollout whose group has none gets no context.
    """

    example = PeerSolutionOptions(strip_thinking=True)

    kind: Literal["peer_solution"]
    options: PeerSolutionOptions = PeerSolutionOptions()

    @property
    def needs_group(self) -> bool:
        """True: the peer is another of the group."""
        return True


class ReferenceSolutionContext(CorruptibleContext):
    """The task's reference solution."""

    example = CorruptibleOptions(corruption=Corruption(rate=0.25, coverage=0.5))

    kind: Literal["reference_solution"]
    options: CorruptibleOptions = CorruptibleOptions()

    def check(self, task: TaskFacts) -> None:
        """Refuse a task without reference solutions."""
        _require(task, "reference_solution", "kind", self.kind)


class AllContext(CorruptibleContext):
    """A peer's solution, the task's hints, and the feedback where no peer has solved the problem."""

    example = AllOptions(max_cases=2, feedback_with_solution=True)
    shows_feedback = True

    kind: Literal["all"]
    options: AllOptions = AllOptions()

    @property
    def needs_group(self) -> bool:
        """True: it shows a peer's solution."""
        return True


class ColumnContext(CorruptibleContext):
    """The text of the task file's column `privileged_context`: feedback from elsewhere, such as a tool's output."""

    example = ColumnOptions(column="privileged_context")

    kind: Literal["column"]
    options: ColumnOptions = ColumnOptions()

    @property
    def shows_task_text(self) -> bool:
        """True: the column is the task's."""
        return True

    def check(self, task: TaskFacts) -> None:
        """Refuse a task without the column."""
        _require(task, "privileged_context", "kind", self.kind)


class ShuffledFeedbackContext(CorruptibleContext):
    """Control: the feedback on another problem's attempt."""

    example = FeedbackOptions(max_cases=2)
    is_control = True

    kind: Literal["shuffled_feedback"]
    options: FeedbackOptions = FeedbackOptions()


Content = (
    StaticContext
    | FeedbackContext
    | HintsContext
    | PeerSolutionContext
    | ReferenceSolutionContext
    | AllContext
    | ColumnContext
)
"""The kinds that show something about the problem: a new kind is named here."""


def _by_kind(contexts: UnionType) -> Mapping[str, type[ContextOfAKind]]:
    return {context.name(): context for context in get_args(contexts)}


PLACEBO_OF = _by_kind(Content | ShuffledFeedbackContext)
"""The kinds that a placebo can be of."""

if TYPE_CHECKING:
    PlaceboKind = str
else:
    PlaceboKind = Literal[tuple(PLACEBO_OF)]


class PlaceboOptions(CorruptibleOptions):
    """Options of `placebo`."""

    of: PlaceboKind = Field("reference_solution", description="the kind of the other problem's context")
    options: Annotated[
        SerializeAsAny[CorruptibleOptions],
        WithJsonSchema(
            {"title": "Options", "type": "object", "additionalProperties": True, "propertyNames": {"maxLength": 4096}}
        ),
    ] = Field(default_factory=dict, validate_default=True, description="the options of that kind")

    @field_validator("options", mode="before")
    @classmethod
    def _of_that_kind(cls, options: Any, info: ValidationInfo) -> Any:  # noqa: ANN401
        kind = info.data.get("of")
        if kind is None:  # it is refused by itself
            return CorruptibleOptions()
        if not isinstance(options, dict | Strict):  # refused as any other field
            return options
        return PLACEBO_OF[kind].options_class().model_validate(options)


class PlaceboContext(CorruptibleContext):
    """Control: another problem's context, of the kind and options that `of` names."""

    example = PlaceboOptions(of="hints", options=HintsOptions(level=1))
    is_control = True

    kind: Literal["placebo"]
    options: PlaceboOptions = PlaceboOptions()

    @property
    def content(self) -> ContextOfAKind:
        """The context that it is another problem's of."""
        return PLACEBO_OF[self.options.of](kind=self.options.of, options=self.options.options)

    @property
    def needs_group(self) -> bool:
        """True if that context does."""
        return self.content.needs_group

    @property
    def shows_task_text(self) -> bool:
        """True if that context does."""
        return self.content.shows_task_text

    def check(self, task: TaskFacts) -> None:
        """Refuse what that context refuses."""
        try:
            self.content.check(task)
        except FieldError as fault:
            param = "of" if fault.param == "kind" else fault.param
            raise FieldError(f"options.{param}", fault.message, fault.value) from None


Kinds = NoneContext | Content | PlaceboContext | ShuffledFeedbackContext
Context = Annotated[Kinds, Field(discriminator="kind"), NAMED_AS_SENT]
"""How the self-teacher's privileged context is built."""

KINDS = _by_kind(Kinds)
"""The class of every kind, in the order in which they are listed."""

if TYPE_CHECKING:
    ContextKind = str
else:
    ContextKind = Literal[tuple(KINDS)]

_CONTEXT: TypeAdapter[Context] = TypeAdapter(Context)


def context_of(value: Any) -> Context:  # noqa: ANN401
    """Read a context.

    Raises:
        ValidationError: it does not fit.
    """
    return _CONTEXT.validate_python(value)


TEMPLATE_VERSION = "2"
"""Version of the templates in `workers.contexts`; it changes whenever one of them does."""


def context_key(
    context: Context, template_version: str = TEMPLATE_VERSION, task_revision: str | None = None
) -> str | None:
    """Name what a self-teacher is shown, within a task: equal keys, equal contexts (LAW.md, part 3).

    Args:
        context: kind and options; defaults count as if they were sent.
        template_version: of the prompts that show it.
        task_revision: says which text a context shows that is the task's own.

    Returns:
        Canonical JSON; long texts as their hash. None for a text of the task's own without its revision.
    """
    key = context.model_dump(mode="json") | {"template": template_version}
    if context.shows_task_text:
        if task_revision is None:
            return None
        key["text"] = task_revision
    if isinstance(context, StaticContext) and context.options.text is not None:
        key["options"]["text"] = "sha256:" + hashlib.sha256(context.options.text.encode()).hexdigest()
    return json.dumps(key, sort_keys=True, separators=(",", ":"))


def named_context_key(kind: str, name: str) -> str:
    """Name a context that people built themselves by what they call it."""
    return json.dumps({"kind": kind, "name": name}, sort_keys=True, separators=(",", ":"))


def context_name_of(key: str | None) -> str | None:
    """Return the name that `named_context_key` was given; None for every other key."""
    name = json.loads(key).get("name") if key is not None else None
    return str(name) if name is not None else None
