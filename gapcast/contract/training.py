"""Training runs: what one is made of (OPSD.md, Trainer), and what it is asked with; `training_results` is their end."""

import hashlib
import json
from typing import Literal, Self

from pydantic import Field, model_validator

from gapcast.contract.base import FieldError, PoolName, Strict
from gapcast.contract.contexts import Context
from gapcast.contract.labels import Labelled
from gapcast.contract.measured import Decoding, EngineName, MeasuredConfiguration, NamedModel
from gapcast.contract.recipes import Recipe

LATER_FIELDS = (
    *("trust_rate", "alpha", "token_clip", "skip_tokens"),
    *("schedule", "warmup_steps", "weight_decay"),
)
"""Fields of the recipe that came after the lab pool was measured: at their defaults they do not count in `own_seed`, so
that its runs draw what they drew."""

EVALUATIONS = 10
"""Evaluations and checkpoints of a run that does not say how often: few enough to cost a lab run a tenth of it."""


class TrainingOptions(Strict):
    """How a run is computed and looked at; none of it belongs to the recipe that the law groups by."""

    evaluate_every: int | None = Field(
        None, ge=1, description=f"steps between two evaluations; null: {EVALUATIONS} in a run"
    )
    checkpoint_every: int | None = Field(
        None, ge=1, description=f"steps between two checkpoints; null: {EVALUATIONS} in a run"
    )
    stop_on_collapse: bool = Field(True, description="end the run when half of the baseline is lost beyond noise")
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


class TrainingBlock(TrainingOptions):
    """The training options as a client sends them."""

    held_out_problems: int | None = Field(
        None, ge=0, le=100_000, description="held-out problems that are evaluated; null: 64, or all that the task has"
    )


class TrainingConfiguration(MeasuredConfiguration):
    """One OPSD training run."""

    recipe: Recipe
    problems: int = Field(128, ge=2, le=100_000, description="training problems, drawn from the task's train split")
    rollouts: int = Field(4, ge=2, le=256, description="rollouts per problem in every evaluation")
    held_out_problems: int = Field(64, ge=0, le=100_000, description="0: the task has no held-out problems")
    seed: int = Field(0, ge=0, lt=2**32)
    options: TrainingOptions = Field(default_factory=TrainingOptions)

    @model_validator(mode="after")
    def _is_trainable(self) -> Self:
        if self.engine == "vllm-server":
            raise FieldError("engine", "a served model does not have weights here to train. Choose another engine.")
        return self

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
    def checkpoint_every(self) -> int:
        """Steps between two checkpoints."""
        return self.options.checkpoint_every or max(1, self.recipe.steps // EVALUATIONS)


MOST_SEEDS = 64
"""runs of one request: a seed sweep has a few, and one transaction stores them all"""

Status = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled", "dead"]


class TrainingSize(Strict):
    """How many problems a run trains on, and how its evaluations sample."""

    problems: int = Field(
        128, ge=2, le=100_000, description="training problems, drawn without replacement from the task's train split"
    )
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
    probe: TrainingSize | None = Field(None, description="null: the default size; a prediction's `probe` without seed")
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
