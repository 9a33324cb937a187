"""What a prediction is asked for: model, task, context, recipe, decoding and the size of the probe.

They import pydantic alone, because the worker's child process reads them too and must not import database code.
"""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from service.catalog.contexts import CONTROL_KINDS, FEEDBACK_KINDS, Context
from service.catalog.strict import Strict


class ModelOptions(Strict):
    """How the model is loaded for rollouts."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: float32 on a CPU, the model's own on a GPU"
    )
    tensor_parallel: int = Field(1, ge=1, le=64, description="GPUs that share the model")
    quantization: str | None = Field(None, pattern=r"^[a-z0-9_-]{1,32}$", description="as vLLM names it; null: none")
    max_model_len: int | None = Field(
        None, ge=16, le=10_000_000, description="tokens of prompt and completion together; null: what the model takes"
    )
    memory_share: float = Field(0.85, gt=0, le=0.98, description="share of a GPU's memory that vLLM may take")


class ModelRef(Strict):
    """The model whose run is predicted."""

    name: str = Field(min_length=1, max_length=255)
    revision: str | None = Field(None, max_length=80, description="null: the catalog's")
    family: str | None = Field(None, min_length=1, max_length=255, description="the law's group; null: the catalog's")
    options: ModelOptions = Field(default_factory=ModelOptions)


Teacher = Literal["frozen", "ema", "trust_region"]
Divergence = Literal["forward_kl", "reverse_kl", "js"]


class RecipeClass(Strict):
    """The part of a recipe that the law groups by (LAW.md, step 7)."""

    teacher: Teacher
    divergence: Divergence

    @property
    def recipe_class(self) -> str:
        """Teacher rule x divergence."""
        return f"{self.teacher}-{self.divergence}"


EMA_RATE, TRUST_RATE, JS_ALPHA = 0.05, 0.05, 0.5
"""What a recipe has that leaves its rate open. An EMA teacher of .05 is the one that the lab was explored with
(OPSD.md, The lab); the same share of the student in a trust region; JS_ALPHA .5 is the symmetric divergence."""


class Recipe(RecipeClass):
    """The OPSD training run whose improvement is predicted."""

    teacher: Teacher = "frozen"
    divergence: Divergence = "forward_kl"
    steps: int = Field(150, ge=1, le=1_000_000, description="optimizer steps")
    learning_rate: float = Field(5e-4, gt=0, le=1)
    problems_per_step: int = Field(32, ge=1, le=65536)
    group_size: int = Field(4, ge=1, le=1024, description="rollouts per problem and step")
    top_k: int | None = Field(
        None, ge=1, description="the divergence is taken over the student's top_k tokens and one tail; null: over all"
    )
    ema_rate: float | None = Field(None, gt=0, le=1, description="teacher update rate; only with teacher `ema`")
    lora_rank: int | None = Field(None, ge=1, le=4096, description="null: full fine-tuning")
    trust_rate: float | None = Field(
        None, gt=0, lt=1, description="weight of the current student in the teacher; only with teacher `trust_region`"
    )
    alpha: float | None = Field(
        None, gt=0, lt=1, description="weight of the student in the Jensen-Shannon mixture; only with divergence `js`"
    )
    token_clip: float | None = Field(None, gt=0, description="nats; a token's divergence is at most this; null: any")
    skip_tokens: int = Field(0, ge=0, le=1_000_000, description="first tokens of each completion that carry no loss")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="the learning rate after the warm-up: constant, or down towards 0 at the end"
    )
    warmup_steps: int = Field(0, ge=0, le=1_000_000, description="steps in which the learning rate rises from 0")
    weight_decay: float = Field(0.0, ge=0, le=1, description="AdamW's")

    @model_validator(mode="after")
    def _options_belong_to_their_rule(self) -> Self:
        for name, owner, value, usual in (
            ("ema_rate", "teacher", "ema", EMA_RATE),
            ("trust_rate", "teacher", "trust_region", TRUST_RATE),
            ("alpha", "divergence", "js", JS_ALPHA),
        ):
            if getattr(self, owner) == value:
                if getattr(self, name) is None:
                    setattr(self, name, usual)
            elif getattr(self, name) is not None:
                raise ValueError(
                    f"{name} is only used by the {owner} {value!r}; leave it null or set {owner} to {value!r}"
                )
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps: {self.warmup_steps} is more than the {self.steps} steps of the run")
        return self


class Decoding(Strict):
    """How every arm samples; the same for student and self-teacher."""

    temperature: float = Field(1.0, ge=0, le=10)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=131072, description="tokens; null: the task's own limit")
    thinking: bool = Field(
        False, description="the chat template's thinking mode; true needs a model whose template has one"
    )
    stop: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        default_factory=list, max_length=4, description="texts that end a completion"
    )


FEW_PROBLEMS = 32
"""below this a standard error over problems is off by more than 1/sqrt(2 x 31), about an eighth, and 0/1 scores may by
chance not vary at all"""

ExtraControl = Literal["placebo", "shuffled_feedback"]
EngineName = Literal["auto", "transformers", "vllm", "vllm-server"]


class ProbeSize(Strict):
    """How many problems and rollouts the gap is measured with."""

    problems: int = Field(
        128,
        ge=2,
        le=100_000,
        description="problems, drawn without replacement from the task's train split; with target_half_width the most",
    )
    rollouts: int = Field(4, ge=1, le=256, description="rollouts per problem and arm")
    seed: int = Field(0, ge=0, lt=2**32)
    controls: list[ExtraControl] | None = Field(
        None,
        max_length=2,
        description="controls beside `none`, which is always run; null: `placebo` where the context is no control",
    )
    target_half_width: float | None = Field(
        None,
        gt=0,
        le=1,
        description="of the predicted improvement at the highest level, a share: the probe goes on until it is "
        "reached; null: the size is fixed",
    )
    engine: EngineName = Field("auto", description="auto: vLLM on a worker with a GPU, transformers elsewhere")


def controls_of(context: Context, asked: list[ExtraControl] | None) -> list[ExtraControl]:
    """The controls that a probe of this context runs, sorted.

    Raises:
        ValueError: a control is asked for that the context cannot have.
    """
    has_placebo = context.kind not in CONTROL_KINDS
    if asked is None:
        return ["placebo"] if has_placebo else []
    if "placebo" in asked and not has_placebo:
        raise ValueError(f"a context of kind {context.kind} is a control itself and has no placebo; send []")
    if "shuffled_feedback" in asked and context.kind not in FEEDBACK_KINDS:
        raise ValueError(f"a context of kind {context.kind} shows no feedback to shuffle; leave shuffled_feedback out")
    return sorted(set(asked))


class MeasuredConfiguration(Strict):
    """What a probe and a training run measure: a model on a task with a context."""

    model: str
    model_revision: str = Field(description="SHA-256 of the model's folder, or what its server is pinned to")
    model_options: ModelOptions = Field(default_factory=ModelOptions)
    task: str
    task_revision: str = Field(description="SHA-256 of the task's problems and verifier")
    context: Context
    template_version: str
    decoding: Decoding
    group_size: int | None = Field(None, description="the recipe's, where the context depends on the group; else null")
    engine: EngineName = "auto"


class ProbeConfiguration(MeasuredConfiguration):
    """All that a probe's counts depend on; its hash is the probe's content address."""

    problems: int
    rollouts: int
    seed: int
    controls: list[ExtraControl]
    target_se: float | None = Field(
        None, description="standard error of the gap at which a sequential probe stops; null: the size is fixed"
    )

    @property
    def key(self) -> str:
        """The content address: SHA-256 of the canonical JSON."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def cell_of(family: str, task: str, recipe: RecipeClass) -> str:
    """The law's cell: family x task x recipe class (LAW.md, step 7)."""
    return f"{family}|{task}|{recipe.recipe_class}"


def recipe_class_of(cell: str) -> RecipeClass:
    """What `cell_of` was given.

    Raises:
        ValueError: it never made this cell.
    """
    teacher, _, divergence = cell.rpartition("|")[2].partition("-")
    return RecipeClass.model_validate({"teacher": teacher, "divergence": divergence})


Level = Annotated[float, Field(ge=0.001, le=0.999)]
