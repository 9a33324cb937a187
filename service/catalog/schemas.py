"""What a prediction is asked for: model, task, context, recipe, decoding and the size of the probe.

They import pydantic alone, because the worker's child process reads them too and must not import database code.
"""

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator


class Strict(BaseModel):
    """A body that refuses fields it does not know, infinities and NaN."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=4096)

    @field_validator("*")
    @classmethod
    def _no_nul(cls, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, str) and "\x00" in value:
            raise ValueError("text must not hold the NUL character, which databases cannot store")
        return value


class ContextKind(StrEnum):
    """How the self-teacher's privileged context is built; CONTEXT_KINDS says what each one is."""

    none = "none"
    static = "static"
    feedback = "feedback"
    hints = "hints"
    reference_solution = "reference_solution"
    placebo = "placebo"


CONTEXT_KINDS = {
    ContextKind.none: "No context: a second sample of exactly the student's prompt. The A/A control.",
    ContextKind.static: "One text for every problem, an expert preamble for example.",
    ContextKind.feedback: "The verifier's feedback on the student's own attempt.",
    ContextKind.hints: "Graded partial information about the problem's solution.",
    ContextKind.reference_solution: "The task's reference solution.",
    ContextKind.placebo: "Control: another problem's reference solution.",
}


class Corruption(Strict):
    """How much of the privileged context is wrong or missing."""

    rate: float = Field(0.0, ge=0, le=1, description="share of contexts that are wrong")
    coverage: float = Field(1.0, ge=0, le=1, description="share of problems that get a context at all")


class NoOptions(Strict):
    """`none` has nothing to choose."""


class CorruptibleOptions(Strict):
    """Options of `feedback`, `reference_solution` and `placebo`."""

    corruption: Corruption = Field(default_factory=Corruption)


class StaticOptions(CorruptibleOptions):
    """Options of `static`."""

    text: str | None = Field(None, min_length=1, max_length=2000, description="null: the task's own preamble")


class HintsOptions(CorruptibleOptions):
    """Options of `hints`."""

    source: Literal["task"] = Field("task", description="where hints come from: the task's own graded hints")
    level: int | None = Field(None, ge=1, le=64, description="how many of the task's graded hints are shown; null: all")


OPTIONS: dict[ContextKind, type[Strict]] = {
    ContextKind.none: NoOptions,
    ContextKind.static: StaticOptions,
    ContextKind.feedback: CorruptibleOptions,
    ContextKind.hints: HintsOptions,
    ContextKind.reference_solution: CorruptibleOptions,
    ContextKind.placebo: CorruptibleOptions,
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

    @property
    def corruption(self) -> Corruption:
        """The corruption asked for; none where the kind takes none."""
        return Corruption.model_validate(self.options.get("corruption") or {})


class ModelRef(Strict):
    """The model whose run is predicted."""

    name: str = Field(min_length=1, max_length=255)
    revision: str | None = Field(None, max_length=80, description="null: the catalog's")
    family: str | None = Field(None, min_length=1, max_length=255, description="the law's group; null: the catalog's")


class RecipeClass(Strict):
    """The part of a recipe that the law groups by (LAW.md, step 7)."""

    teacher: Literal["frozen", "ema", "trust_region"]
    divergence: Literal["forward_kl", "reverse_kl", "js"]

    @property
    def recipe_class(self) -> str:
        """Teacher rule x divergence."""
        return f"{self.teacher}-{self.divergence}"


class Recipe(RecipeClass):
    """The OPSD training run whose improvement is predicted."""

    teacher: Literal["frozen", "ema", "trust_region"] = "frozen"
    divergence: Literal["forward_kl", "reverse_kl", "js"] = "forward_kl"
    steps: int = Field(150, ge=1, le=1_000_000, description="optimizer steps")
    learning_rate: float = Field(5e-4, gt=0, le=1)
    problems_per_step: int = Field(32, ge=1, le=65536)
    group_size: int = Field(4, ge=1, le=1024, description="rollouts per problem and step")
    top_k: int | None = Field(None, ge=1, description="null: the full vocabulary")
    ema_rate: float | None = Field(None, gt=0, le=1, description="teacher update rate; only with teacher `ema`")
    lora_rank: int | None = Field(None, ge=1, description="null: full fine-tuning")

    @model_validator(mode="after")
    def _ema_rate_belongs_to_ema(self) -> Self:
        if self.teacher == "ema" and self.ema_rate is None:
            self.ema_rate = 0.05
        if self.teacher != "ema" and self.ema_rate is not None:
            raise ValueError("ema_rate is only used by the teacher 'ema'; leave it null or set teacher to 'ema'")
        return self


class Decoding(Strict):
    """How every arm samples; the same for student and self-teacher."""

    temperature: float = Field(1.0, ge=0, le=10)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=131072, description="tokens; null: the task's own limit")
    thinking: Literal[False] = Field(False, description="the lab's models do not think aloud")


FEW_PROBLEMS = 32
"""below this a standard error over problems is off by more than 1/sqrt(2 x 31), about an eighth, and 0/1 scores may by
chance not vary at all"""

ExtraControl = Literal["placebo"]


def _default_controls() -> list[ExtraControl]:
    return ["placebo"]


class ProbeSize(Strict):
    """How many problems and rollouts the gap is measured with."""

    problems: int = Field(
        128, ge=2, le=100_000, description="problems, drawn without replacement from the task's train split"
    )
    rollouts: int = Field(4, ge=1, le=256, description="rollouts per problem and arm")
    seed: int = Field(0, ge=0, lt=2**32)
    controls: list[ExtraControl] = Field(
        default_factory=_default_controls, max_length=1, description="controls beside `none`, which is always run"
    )
    target_half_width: None = Field(None, description="only null: the size is fixed")


TEMPLATE_VERSION = "1"
"""Version of the templates in `workers.contexts.templates`; it changes whenever one of them does."""


class MeasuredConfiguration(Strict):
    """What a probe and a training run measure: a model on a task with a context."""

    model: str
    model_revision: str = Field(description="SHA-256 of the model's folder")
    task: str
    task_revision: str = Field(description="SHA-256 of the task's problems")
    context: Context
    template_version: str
    decoding: Decoding
    engine: Literal["transformers"] = "transformers"


class ProbeConfiguration(MeasuredConfiguration):
    """All that a probe's counts depend on; its hash is the probe's content address."""

    problems: int
    rollouts: int
    seed: int
    controls: list[ExtraControl]

    @property
    def key(self) -> str:
        """The content address: SHA-256 of the canonical JSON."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def cell_of(family: str, task: str, recipe: RecipeClass) -> str:
    """The law's cell: family x task x recipe class (LAW.md, step 7)."""
    return f"{family}|{task}|{recipe.recipe_class}"


Level = Annotated[float, Field(ge=0.001, le=0.999)]
