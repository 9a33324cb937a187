"""Training runs: what they measure while they run, and what came of them."""

from typing import Any

from pydantic import Field

from gapcast.models.predictions import Interval
from gapcast.models.probes import Gap
from gapcast.models.shared import TERMINAL, Answered, Estimate, Warned


class BestStep(Estimate):
    """The improvement at the step where the training problems had gained most: chosen by its value, so it flatters."""

    step: int


class HeldOut(Estimate):
    """The improvement on problems that were not trained on."""

    baseline: float
    """the student's accuracy on them before training"""
    problems: int
    best: BestStep | None = None
    """on these problems, at the step that was best on the training problems"""


class Gained(Estimate):
    """Student accuracy at the last step minus before, on the training problems."""

    best: BestStep | None = None
    held_out: HeldOut | None = None
    """None: the task has no held-out problems, or none were asked for"""


class Evaluation(Answered):
    """The student at one step, on fresh samples."""

    step: int
    accuracy: float
    improvement: Estimate
    """over the baseline"""
    held_out: Estimate | None = None
    """the same on held-out problems"""


class Outlook(Interval):
    """A prediction interval, and whether it held the outcome; None while there is none."""

    covered: bool | None = None


class Predicted(Answered):
    """What the prediction behind a run had said."""

    prediction_id: str
    value: float | None
    intervals: list[Outlook]
    verdict: str | None = None


class TrainingProgress(Answered):
    """How far a run is: `baseline`, `training`, `evaluation` or `export`, at `done` of `total` steps."""

    done: int
    total: int
    unit: str = "steps"
    phase: str


class LastCheckpoint(Answered):
    """Where a run would go on from if it stopped now."""

    step: int
    bytes: int
    created_at: str


class Checkpoint(LastCheckpoint):
    """A checkpoint that a worker has written and published."""

    id: str
    attempt: int
    sha256: str
    """of the folder's manifest, which holds that of every file"""
    path: str
    """a folder on the worker's disk"""


class Artifact(Answered):
    """The trained weights: a model folder of safetensors on the worker's disk."""

    path: str
    kind: str
    """`full`, or `lora` for an adapter"""
    step: int
    revision: str
    """what `gapcast.toml` pins the folder to"""
    bytes: int


class TrainingCost(Answered):
    """What a run has taken, over all of its attempts as far as they are known."""

    seconds: float
    gpu_hours: float | None = None
    """0 on a machine without a GPU"""
    rollouts: int | None = None
    tokens: int | None = None


class TrainingRun(Answered):
    """A full OPSD run; what it measures is None until it is measured."""

    id: str
    status: str
    """`queued`, `running`, `paused`, `succeeded`, `failed`, `cancelled` or `dead`"""
    group_id: str | None = None
    """of runs that were posted together; None for one alone"""
    prediction_id: str | None = None
    seed: int
    pool: str
    """where its observation goes"""
    family: str
    configuration: dict[str, Any]
    progress: TrainingProgress | None = None
    baseline: float | None = None
    gap: Gap | None = None
    improvement: Gained | None = None
    evaluations: list[Evaluation] | None = None
    """None where runs are listed"""
    collapsed: bool | None = None
    stopped_by: str | None = None
    """`steps`, or `collapse`"""
    predicted: Predicted | None = None
    """None without a prediction"""
    observation_id: str | None = None
    warnings: list[Warned] = Field(default_factory=list)
    checkpoint: LastCheckpoint | None = None
    artifact: Artifact | None = None
    cost: TrainingCost | None = None
    versions: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it will never change again; a paused one can be resumed."""
        return self.status in TERMINAL
