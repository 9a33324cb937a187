"""Training runs: what one is made of (OPSD.md, Trainer), what it is asked with, and how it answers."""

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from gapcast.contract.base import TERMINAL, Failure, FieldError, Finite, Identified, Strict, Warned
from gapcast.contract.contexts import Context
from gapcast.contract.measured import Decoding, EngineName, MeasuredConfiguration, ModelRef
from gapcast.contract.probes import Difference, Gap
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
    stop_on_collapse: bool = Field(True, description="end the run where half of the baseline is lost beyond noise")
    micro_batch: int | None = Field(
        None, ge=1, description="rollouts in one forward and backward pass; null: as many as a token budget takes"
    )
    gradient_checkpointing: bool = Field(False, description="compute activations again instead of keeping them")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the passes; weights and optimizer are float32. auto: bfloat16 on a GPU, else float32"
    )
    processes: int = Field(1, ge=1, le=64, description="GPUs that share the training by FSDP2; processes on a CPU")
    export: Literal["none", "final", "best"] = Field(
        "final", description="which weights are written as a model folder at the end"
    )


class TrainingBlock(TrainingOptions):
    """The same as a client sends it."""

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
            raise ValueError("engine: a served model has no weights here that could be trained")
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


class TrainingRunRequest(Strict):
    """One OPSD run a seed: of a prediction's configuration, or of one that is sent."""

    prediction_id: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="the answered prediction whose configuration is run and whose outcome this is",
    )
    model: ModelRef | None = None
    task: str | None = Field(None, min_length=1, max_length=255)
    context: Context | None = None
    recipe: Recipe | None = Field(None, description="null: the default recipe")
    decoding: Decoding | None = Field(None, description="null: the default decoding")
    probe: TrainingSize | None = Field(None, description="null: the default size; a prediction's `probe` without seed")
    pool: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$",
        description="where the observation goes; null: `lab` for the lab's models, `default` for others",
    )
    seeds: list[int] = Field(
        default_factory=lambda: [0], min_length=1, max_length=MOST_SEEDS, description="one run for each"
    )
    training: TrainingBlock = Field(default_factory=TrainingBlock)

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> Self:
        for index, seed in enumerate(self.seeds):
            if not 0 <= seed < 2**32:
                raise FieldError(f"seeds.{index}", "is no seed from 0 to 4294967295", seed)
            if seed in self.seeds[:index]:
                raise FieldError(f"seeds.{index}", "is there twice; each run needs a seed of its own", seed)
        names = ("model", "task", "context", "recipe", "decoding", "probe", "pool")
        if self.prediction_id is not None:
            for name in names:
                if getattr(self, name) is not None:
                    raise FieldError(name, "comes from the prediction; send either it or prediction_id")
            return self
        for name in names[:3]:
            if getattr(self, name) is None:
                raise FieldError(name, "is needed, unless prediction_id names a prediction to run")
        return self


class BestStep(Difference):
    """An improvement at the step where the training problems had gained most."""

    step: int


class HeldOutImprovement(Difference):
    """The improvement on held-out problems, at the last step."""

    baseline: float = Field(description="student accuracy on them before training")
    problems: int
    best: BestStep | None = Field(
        None, description="on these problems, at the step that was best on the training problems"
    )


class MeasuredImprovement(Difference):
    """Student accuracy at the last step minus before, on the training problems."""

    best: BestStep | None = Field(
        None, description="at the step where it was largest: chosen by its value, so too high"
    )
    held_out: HeldOutImprovement | None = Field(None, description="null: no held-out problems were evaluated")


class Evaluation(Finite):
    """One look at the student while it was trained."""

    step: int
    accuracy: float
    improvement: Difference
    held_out: Difference | None = Field(None, description="improvement on held-out problems")


class PredictedInterval(Finite):
    """A prediction interval, and whether the outcome lies in it."""

    level: float
    lower: float
    upper: float
    covered: bool | None = Field(None, description="null until the improvement is known")


class Predicted(Finite):
    """What the prediction said of this run."""

    prediction_id: str
    value: float | None = Field(description="null: the law refused to predict")
    intervals: list[PredictedInterval]
    verdict: str


class CheckpointRef(BaseModel):
    """The newest checkpoint; where the run goes on after a pause or a crash."""

    step: int
    bytes: int
    created_at: str


class Artifact(BaseModel):
    """The trained weights as a model folder on the worker's machine."""

    path: str
    kind: Literal["full", "lora"]
    step: int
    revision: str = Field(description="of the folder, to list it under [[models]]")
    bytes: int


class RunCost(Finite):
    """What the run took, over all of its attempts as far as they are known."""

    seconds: float
    gpu_hours: float | None = Field(None, description="0 on a machine without a GPU")
    rollouts: int | None = None
    tokens: int | None = None


class TrainingRunOut(Identified):
    """A training run; what is not known yet is null."""

    object: Literal["training_run"] = "training_run"
    status: Status
    group_id: str | None = Field(description="shared by runs that were asked for together")
    prediction_id: str | None
    seed: int
    pool: str
    family: str
    configuration: dict[str, Any]
    progress: dict[str, Any] | None = Field(None, description="`done`, `total`, `unit` (steps) and `phase`")
    baseline: float | None = Field(None, description="student accuracy before training")
    gap: Gap | None = None
    improvement: MeasuredImprovement | None = None
    evaluations: list[Evaluation] | None = Field(
        None, description="grow while the run goes on; left out where runs are listed"
    )
    collapsed: bool | None = None
    stopped_by: Literal["steps", "collapse"] | None = None
    predicted: Predicted | None = None
    observation_id: str | None = None
    warnings: list[Warned] = Field(default_factory=list)
    checkpoint: CheckpointRef | None = None
    artifact: Artifact | None = None
    cost: RunCost | None = None
    versions: dict[str, Any] | None = None
    error: Failure | None = None
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None

    @property
    def ended(self) -> bool:
        """True if it never changes again."""
        return self.status in TERMINAL


class CheckpointOut(Identified):
    """One published checkpoint of a run; a worker keeps the two newest of an attempt and its best."""

    object: Literal["checkpoint"] = "checkpoint"
    step: int
    attempt: int
    bytes: int
    sha256: str = Field(description="of the manifest, which holds those of every file")
    path: str = Field(description="the folder, on the worker's machine")
    created_at: str
