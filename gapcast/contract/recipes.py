"""Recipes of OPSD runs, and the part of them that the law groups by."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from gapcast.contract.base import FieldError, Strict

Teacher = Literal["frozen", "ema", "trust_region", "live"]
"""`live`: the student of the current step. Such runs are imported and asked about; they are not trained here."""

Divergence = Literal["forward_kl", "reverse_kl", "js"]


LIVE_RATE = 0.5
"""An EMA teacher that takes this much of the student at every step is the student, one step late."""


class RecipeClass(Strict):
    """The part of a recipe that the law groups by (LAW.md, step 7)."""

    teacher: Teacher
    divergence: Divergence

    @property
    def law_teacher(self) -> Teacher:
        """The teacher that the law counts the run under."""
        return self.teacher

    @property
    def recipe_class(self) -> str:
        """Teacher rule x divergence."""
        return f"{self.law_teacher}-{self.divergence}"


def counted_teacher(teacher: Teacher, ema_rate: float | None) -> Teacher:
    """The teacher that the law counts a run under."""
    return "live" if teacher == "ema" and ema_rate is not None and ema_rate >= LIVE_RATE else teacher


EMA_RATE, TRUST_RATE, JS_ALPHA = 0.05, 0.05, 0.5
"""The rate of a recipe that leaves it open. An EMA teacher of .05 is the one that the lab was explored with
(OPSD.md, The lab); the same share of the student in a trust region; JS_ALPHA .5 is the symmetric divergence."""


LAB_RATE = 5e-4
"""The learning rate of a run of a lab model, as those of the lab's pool."""
TINY = 10_000_000
"""Parameters below which a model is like the lab's: a rate for billions of parameters teaches it nothing."""
RATES: Sequence[tuple[float, float]] = ((3e9, 1e-5), (3e10, 3e-6), (float("inf"), 1e-6))
"""Learning rates of runs that train all weights, for models with at most so many parameters: half a decade apart, which
is what the law tells apart (service/fits/tuning.py)."""
LORA_FACTOR = 10
"""An adapter takes about ten times the rate of all weights, whatever its rank (LoRA Without Regret, Schulman 2025)."""


def usual_rate(parameters: int | None, *, lora: bool) -> float:
    """Return the learning rate of a recipe that leaves it open; a model of unknown size counts as one of 3B to 30B."""
    if parameters is not None and parameters < TINY:
        return LAB_RATE
    size = RATES[1][0] if parameters is None else parameters
    rate = next(rate for most, rate in RATES if size <= most)
    return float(f"{rate * LORA_FACTOR:.0e}") if lora else rate


def usual_for(recipe: "Recipe") -> str | None:
    """Name the models for which a recipe's learning rate is the usual one; None where there are none."""
    if recipe.rate == LAB_RATE:
        return "models below 10M parameters"
    names = ("models up to 3B parameters", "models from 3B to 30B parameters", "models above 30B parameters")
    usual = (usual_rate(round(size), lora=recipe.lora_rank is not None) for size in (3e9, 3e10, 3e11))
    return next((name for name, rate in zip(names, usual, strict=True) if rate == recipe.rate), None)


class Recipe(RecipeClass):
    """The OPSD training run whose improvement is predicted."""

    teacher: Teacher = "frozen"
    divergence: Divergence = "forward_kl"
    steps: int = Field(150, ge=1, le=1_000_000, description="optimizer steps")
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="null: by the model's size and by what is trained, 1e-6 to 1e-5 for all weights and ten times that "
        f"with LoRA; {LAB_RATE:g} for the lab's models and models that are not listed",
    )
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
    token_clip: float | None = Field(
        None, gt=0, description="nats; a larger divergence of a token is clipped to this; null: no bound"
    )
    skip_tokens: int = Field(
        0, ge=0, le=1_000_000, description="tokens at the start of each completion that do not count in the loss"
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="the learning rate after the warm-up: constant, or down towards 0 at the end"
    )
    warmup_steps: int = Field(0, ge=0, le=1_000_000, description="steps in which the learning rate rises from 0")
    weight_decay: float = Field(0.0, ge=0, le=1, description="weight decay of AdamW")

    def with_rate(self, parameters: int | None, *, listed: bool = True) -> Self:
        """Return the recipe with the usual learning rate of a model of this size, where it leaves it open."""
        if self.learning_rate is not None:
            return self
        rate = usual_rate(parameters, lora=self.lora_rank is not None) if listed else LAB_RATE
        return self.model_copy(update={"learning_rate": rate})

    @property
    def rate(self) -> float:
        """The learning rate; that of the lab's models where nobody has said which model is trained."""
        return LAB_RATE if self.learning_rate is None else self.learning_rate

    @property
    def law_teacher(self) -> Teacher:
        """The teacher that the law counts the run under: `live` for a rate of LIVE_RATE or more."""
        return counted_teacher(self.teacher, self.ema_rate)

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
                message = f"belongs to the {owner} {value}. Leave it out, or set {owner} to {value}."
                raise FieldError(name, message, getattr(self, name))
        if self.warmup_steps > self.steps:
            message = f"expected at most {self.steps}, the steps of the run, got {self.warmup_steps}."
            raise FieldError("warmup_steps", message, self.warmup_steps)
        return self


def cell_of(family: str, task: str, recipe: RecipeClass) -> str:
    """The law's cell: family x task x recipe class (LAW.md, step 7)."""
    return f"{family}|{task}|{recipe.recipe_class}"


def recipe_class_of(cell: str) -> RecipeClass:
    """Return the recipe class that `cell_of` was given.

    Raises:
        ValueError: `cell_of` never made this cell.
    """
    teacher, _, divergence = cell.rpartition("|")[2].partition("-")
    return RecipeClass.model_validate({"teacher": teacher, "divergence": divergence})
