"""Training runs: what one is made of (OPSD.md, Trainer), and what it is asked with; `training_results` is their end."""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from gapcast.contract.base import FieldError, PoolName, Strict
from gapcast.contract.contexts import Context
from gapcast.contract.faults import shown
from gapcast.contract.labels import Labelled
from gapcast.contract.measured import Decoding, EngineName, MeasuredConfiguration, NamedModel
from gapcast.contract.needs import Needs
from gapcast.contract.recipes import Recipe
from gapcast.contract.stopping import StopRule

LATER_FIELDS = (
    *("trust_rate", "alpha", "token_clip", "skip_tokens"),
    *("schedule", "warmup_steps", "weight_decay"),
)
"""Fields of the recipe that came after the lab pool was measured: at their defaults they do not count in `own_seed`, so
that its runs draw what they drew."""

LIVE_NOT_TRAINED = (
    "expected frozen, ema or trust_region, got live. A teacher that is the student of the current step is not trained "
    "here. Choose one of those, or import the run as an observation."
)

EVALUATIONS = 10
"""Evaluations and checkpoints of a run that does not say how often: few enough to cost a lab run a tenth of it."""


FEWEST_PROBLEMS, MOST_PROBLEMS = 2, 100_000
"""of a run: one problem has no variance, and each evaluation keeps a number of every problem"""
USUAL_PROBLEMS = 128
"""trained on, and evaluated, where nobody says how many: as many as the shipped lab runs"""


def _number_or_all(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401
    try:
        return validate(value)
    except ValidationError:
        limits = f"a whole number from {FEWEST_PROBLEMS} to {MOST_PROBLEMS}"
        raise ValueError(f"expected {limits}, all or null, got {shown(value)}.") from None


class TrainedProblems(Strict):
    """The problems that a run trains on, and those of them that its baseline and every look are measured on."""

    problems: Annotated[
        Annotated[int, Field(ge=FEWEST_PROBLEMS, le=MOST_PROBLEMS)] | Literal["all"] | None,
        WrapValidator(_number_or_all),
    ] = Field(
        None,
        description="training problems, drawn without replacement from the task's train split; `all`: the whole split; "
        f"null: {USUAL_PROBLEMS}, or all that the task has. A probe's problems are another number.",
    )
    evaluation_problems: int | None = Field(
        None,
        ge=FEWEST_PROBLEMS,
        le=MOST_PROBLEMS,
        description="training problems on which baseline, gap and every evaluation are measured; the same ones in all "
        f"of them. null: {USUAL_PROBLEMS}, or all training problems",
    )

    @model_validator(mode="after")
    def _evaluates_what_it_trains(self) -> Self:
        most, asked = self.problems, self.evaluation_problems
        if isinstance(most, int) and asked is not None and asked > most:
            raise FieldError(
                "evaluation_problems", f"expected at most {most}, the problems that are trained on, got {asked}.", asked
            )
        return self


class TrainedOn(BaseModel):
    """The training problems of a run, and how often it sees each."""

    problems: int = Field(description="training problems")
    evaluation_problems: int = Field(description="those of them on which baseline and improvement are measured")
    passes: float = Field(description="steps x problems_per_step / training problems")

    @classmethod
    def of(cls, recipe: Recipe, problems: int, evaluation_problems: int) -> "TrainedOn":
        """Count the passes of a recipe."""
        passes = recipe.steps * recipe.problems_per_step / problems
        return cls(problems=problems, evaluation_problems=evaluation_problems, passes=passes)


class TrainingOptions(Strict):
    """How a run is computed and looked at; none of it belongs to the recipe that the law groups by."""

    evaluate_every: int | None = Field(
        None, ge=1, description=f"steps between two evaluations; null: {EVALUATIONS} in a run"
    )
    checkpoint_every: int | None = Field(
        None, ge=1, description=f"steps between two checkpoints; null: {EVALUATIONS} in a run"
    )
    stop_on_collapse: bool = Field(True, description="end the run when half of the baseline is lost beyond noise")
    stop: StopRule | None = Field(
        None, description="stop the run once it will probably not gain enough; it can be resumed. null: never"
    )
    pilot: float | None = Field(
        None, gt=0, lt=1, description="share of the steps after which the run pauses with a forecast; null: it does not"
    )
    micro_batch: int | None = Field(
        None, ge=1, description="rollouts in one forward and backward pass; null: as many as a token budget takes"
    )
    gradient_checkpointing: bool = Field(False, description="compute activations again instead of keeping them")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="precision of the passes; weights and optimizer are float32. auto: bfloat16 on a GPU, else float32",
    )
    processes: int = Field(1, ge=1, le=64, description="GPUs that share the training by FSDP2; processes on a CPU")
    export: Literal["none", "final", "best"] = Field(
        "final", description="the weights that are written as a model folder at the end"
    )


class TrainingBlock(TrainingOptions, TrainedProblems):
    """The training options as a client sends them."""

    held_out_problems: int | None = Field(
        None, ge=0, le=100_000, description="held-out problems that are evaluated; null: 64, or all that the task has"
    )
    needs: Needs | None = Field(
        None, description="what the run needs of a worker, beside what its model does; null: nothing more"
    )


class TrainingConfiguration(MeasuredConfiguration):
    """One OPSD training run."""

    recipe: Recipe
    problems: int = Field(
        USUAL_PROBLEMS,
        ge=FEWEST_PROBLEMS,
        le=MOST_PROBLEMS,
        description="training problems, drawn from the task's train split",
    )
    evaluation_problems: int | None = Field(
        None,
        ge=FEWEST_PROBLEMS,
        le=MOST_PROBLEMS,
        description="the first of them, on which baseline, gap and every evaluation are measured; null: all of them",
    )
    rollouts: int = Field(4, ge=2, le=256, description="rollouts per problem in every evaluation")
    held_out_problems: int = Field(64, ge=0, le=100_000, description="0: the task has no held-out problems")
    seed: int = Field(0, ge=0, lt=2**32)
    options: TrainingOptions = Field(default_factory=TrainingOptions)

    @model_validator(mode="after")
    def _is_trainable(self) -> Self:
        self.recipe = self.recipe.with_rate(None, listed=False)
        if self.recipe.teacher == "live":
            raise FieldError("recipe.teacher", LIVE_NOT_TRAINED, "live")
        if self.engine == "vllm-server":
            raise FieldError("engine", "a served model does not have weights here to train. Choose another engine.")
        if self.evaluated > self.problems:
            message = f"expected at most {self.problems}, the training problems, got {self.evaluated}."
            raise FieldError("evaluation_problems", message, self.evaluated)
        return self

    @property
    def evaluated(self) -> int:
        """Training problems that are evaluated."""
        return self.evaluation_problems or self.problems

    @property
    def trained_on(self) -> TrainedOn:
        """Training problems, evaluated ones and passes."""
        return TrainedOn.of(self.recipe, self.problems, self.evaluated)

    @property
    def content(self) -> str:
        """Canonical JSON of all that the run's samples depend on.

        Two runs that differ in any of it share nothing; two with the same content are one run (`key`). Observations
        that share a probe make the law's intervals too narrow (DESIGN.md, REST).
        """
        content = self.model_dump(mode="json", exclude={"options"})
        for name in LATER_FIELDS:
            if getattr(self.recipe, name) == Recipe.model_fields[name].default:
                del content["recipe"][name]
        if self.evaluated == self.problems:  # as every run was before there was a choice
            del content["evaluation_problems"]
        return json.dumps(content, sort_keys=True)

    @property
    def key(self) -> str:
        """SHA-256 of `content`."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def evaluate_every(self) -> int:
        """Steps between two evaluations."""
        return self.options.evaluate_every or max(1, self.recipe.steps // EVALUATIONS)

    @property
    def pilot_step(self) -> int | None:
        """The step after which it pauses with a forecast; None if it does not."""
        share = self.options.pilot
        return None if share is None else max(1, round(share * self.recipe.steps))

    @property
    def checkpoint_every(self) -> int:
        """Steps between two checkpoints."""
        return self.options.checkpoint_every or max(1, self.recipe.steps // EVALUATIONS)


MOST_SEEDS = 64
"""runs of one request: a seed sweep has a few, and one transaction stores them all"""

Status = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled", "dead"]


class TrainingSize(Strict):
    """How a run's evaluations sample; how many problems they take is `training.evaluation_problems`."""

    rollouts: int = Field(4, ge=2, le=256, description="rollouts per problem in every evaluation")
    engine: EngineName = Field("auto", description="auto: vLLM on a worker with a GPU, transformers elsewhere")


class TrainingRunRequest(Labelled, Strict):
    """One OPSD run a seed: of a prediction's configuration, or of one that is sent.

    Name and tags go to every run; those that are left out are the prediction's.
    """

    prediction_id: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="the answered prediction whose configuration is run and whose outcome this is",
    )
    model: NamedModel | None = None
    task: str | None = Field(None, min_length=1, max_length=255)
    context: Context | None = None
    recipe: Recipe | None = Field(None, description="null: the default recipe")
    decoding: Decoding | None = Field(None, description="null: the default decoding")
    probe: TrainingSize | None = Field(
        None, description="null: the defaults; a prediction's run takes rollouts and engine of its `probe`"
    )
    pool: PoolName | None = Field(
        None, description="the pool of the observation; null, or a pool that ships with Gapcast: `default`"
    )
    seeds: list[int] = Field(
        default_factory=lambda: [0], min_length=1, max_length=MOST_SEEDS, description="one run for each"
    )
    training: TrainingBlock = Field(default_factory=TrainingBlock)

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> Self:
        for index, seed in enumerate(self.seeds):
            if not 0 <= seed < 2**32:
                raise FieldError(f"seeds.{index}", f"expected a whole number from 0 to 4294967295, got {seed}.", seed)
            if seed in self.seeds[:index]:
                raise FieldError(f"seeds.{index}", f"{seed} appears twice. Each run needs a seed of its own.", seed)
        names = ("model", "task", "context", "recipe", "decoding", "probe", "pool")
        if self.prediction_id is not None:
            for name in names:
                if getattr(self, name) is not None:
                    raise FieldError(name, "comes from the prediction. Send one of the two.")
            return self
        for name in names[:3]:
            if getattr(self, name) is None:
                raise FieldError(
                    name, "expected a value, got nothing. Add it, or name a prediction to run in prediction_id."
                )
        return self
