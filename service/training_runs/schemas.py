"""What a training run is asked with, and how it answers."""

from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from service.catalog.contexts import Context
from service.catalog.schemas import Decoding, EngineName, ModelRef, Recipe
from service.catalog.strict import Strict
from service.catalog.training import TrainingBlock
from service.kit.errors import FieldError
from service.kit.pagination import Identified
from service.predictions.schemas import Failure, Finite, Gap, Warned

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


class Difference(Finite):
    """A difference of accuracies and its standard error over problems; shares."""

    value: float
    se: float


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


class CheckpointOut(Identified):
    """One published checkpoint of a run; a worker keeps the two newest of an attempt and its best."""

    object: Literal["checkpoint"] = "checkpoint"
    step: int
    attempt: int
    bytes: int
    sha256: str = Field(description="of the manifest, which holds those of every file")
    path: str = Field(description="the folder, on the worker's machine")
    created_at: str
