"""The kinds of privileged context and their options (DESIGN.md, Vocabulary; OPSD.md, Contexts).

Imports pydantic alone, because the worker's child process reads it too and must not import database code.
"""

from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gapcast.contract.base import Strict


class ContextKind(StrEnum):
    """How the self-teacher's privileged context is built; CONTEXT_KINDS says what each one is."""

    none = "none"
    static = "static"
    feedback = "feedback"
    hints = "hints"
    peer_solution = "peer_solution"
    reference_solution = "reference_solution"
    all = "all"
    column = "column"
    placebo = "placebo"
    shuffled_feedback = "shuffled_feedback"


CONTEXT_KINDS = {
    ContextKind.none: "No context: a second sample of exactly the student's prompt. The A/A control.",
    ContextKind.static: "One text for every problem, an expert preamble for example.",
    ContextKind.feedback: "The verifier's feedback on the student's own attempt.",
    ContextKind.hints: "Partial information about the solution: the task's own graded hints, or hints that the model "
    "extracts from a correct solution.",
    ContextKind.peer_solution: "The first successful attempt of the rollout's group other than the rollout itself, "
    "without its thinking. A rollout whose group has none gets no context.",
    ContextKind.reference_solution: "The task's reference solution.",
    ContextKind.all: "A peer's solution, the task's hints, and the feedback where no peer has solved the problem.",
    ContextKind.column: "The text of the task file's column `privileged_context`: any feedback from the world.",
    ContextKind.placebo: "Control: another problem's context, of the kind and options that `of` names.",
    ContextKind.shuffled_feedback: "Control: the feedback on another problem's attempt.",
}


class Corruption(Strict):
    """How much of the privileged context is wrong or missing."""

    rate: float = Field(0.0, ge=0, le=1, description="share of contexts that are wrong: another problem's")
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

    max_cases: int = Field(1, ge=1, le=16, description="failing cases that are shown, at most")
    show_expected: bool = Field(
        False, description="whether failing cases show the expected output: it leaks the answer"
    )
    on_success: Literal["feedback", "none"] = Field(
        "feedback", description="what a successful attempt gets: the feedback that it is right, or no context"
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
                raise ValueError("level counts the task's graded hints; leave it null or set source to 'task'")
            self.extract_from = self.extract_from or "peer"
        elif self.extract_from is not None:
            raise ValueError("extract_from is only used by source 'model'; leave it null or set source to 'model'")
        return self


class PeerSolutionOptions(CorruptibleOptions):
    """Options of `peer_solution`."""

    strip_thinking: bool = Field(True, description="whether the peer's thinking is left out")


class AllOptions(FeedbackOptions, PeerSolutionOptions):
    """Options of `all`."""

    feedback_with_solution: bool = Field(False, description="whether feedback is shown beside a peer's solution too")


class ColumnOptions(CorruptibleOptions):
    """Options of `column`."""

    column: Literal["privileged_context"] = "privileged_context"


ContentKind = Literal[
    "static", "feedback", "hints", "peer_solution", "reference_solution", "all", "column", "shuffled_feedback"
]
"""The kinds that a placebo can be of."""


class PlaceboOptions(CorruptibleOptions):
    """Options of `placebo`."""

    of: ContentKind = Field("reference_solution", description="the kind of context that another problem's is shown of")
    options: dict[str, Any] = Field(default_factory=dict, validate_default=True, description="the options of that kind")

    @field_validator("options")
    @classmethod
    def _fill_options(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        kind = info.data.get("of")
        return options if kind is None else OPTIONS[ContextKind(kind)].model_validate(options).model_dump()


OPTIONS: dict[ContextKind, type[Strict]] = {
    ContextKind.none: NoOptions,
    ContextKind.static: StaticOptions,
    ContextKind.feedback: FeedbackOptions,
    ContextKind.hints: HintsOptions,
    ContextKind.peer_solution: PeerSolutionOptions,
    ContextKind.reference_solution: CorruptibleOptions,
    ContextKind.all: AllOptions,
    ContextKind.column: ColumnOptions,
    ContextKind.placebo: PlaceboOptions,
    ContextKind.shuffled_feedback: FeedbackOptions,
}


class Context(Strict):
    """A context kind with its options; defaults are filled in, so that the answer records them."""

    kind: ContextKind
    options: dict[str, Any] = Field(
        default_factory=dict, validate_default=True, description="see GET /v1/context_kinds"
    )

    @field_validator("options")
    @classmethod
    def _fill_options(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        kind = info.data.get("kind")
        return options if kind is None else OPTIONS[kind].model_validate(options).model_dump()

    @cached_property
    def corruption(self) -> Corruption:
        """The corruption asked for; none where the kind takes none."""
        return Corruption.model_validate(self.options.get("corruption") or {})

    @cached_property
    def content(self) -> "Context":
        """What is shown: for a placebo the context that it is another problem's of, else the context itself."""
        if self.kind is not ContextKind.placebo:
            return self
        return Context(kind=ContextKind(self.options["of"]), options=self.options["options"])

    @property
    def needs_group(self) -> bool:
        """Whether it depends on the other attempts of the rollout's group, and so on the recipe's group size."""
        content = self.content
        if content.kind is ContextKind.hints:
            return bool(content.options["extract_from"] == "peer")
        return content.kind in {ContextKind.peer_solution, ContextKind.all}

    def placebo(self) -> "Context":
        """The control with another problem's context of this kind."""
        return Context(kind=ContextKind.placebo, options={"of": self.kind.value, "options": self.options})

    def shuffled_feedback(self) -> "Context":
        """The control with the feedback on another problem's attempt, as verbose as this kind's feedback."""
        options = {name: self.options[name] for name in FeedbackOptions.model_fields if name in self.options}
        return Context(kind=ContextKind.shuffled_feedback, options=options)


FEEDBACK_KINDS = frozenset({ContextKind.feedback, ContextKind.all})
"""the kinds whose feedback the control `shuffled_feedback` can shuffle"""
CONTROL_KINDS = frozenset({ContextKind.none, ContextKind.placebo, ContextKind.shuffled_feedback})
"""the kinds that are controls themselves and have no placebo"""

TEMPLATE_VERSION = "2"
"""Version of the templates in `workers.contexts.templates`; it changes whenever one of them does."""
