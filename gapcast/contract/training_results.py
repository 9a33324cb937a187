"""Training runs: what comes of them, from the worker's result to the answer."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from gapcast.contract.base import TERMINAL, Failure, Finite, Identified, Paced, Warned
from gapcast.contract.labels import Labelled
from gapcast.contract.probes import Difference, Gap
from gapcast.contract.training import Status, TrainedOn, TrainingConfiguration
from gapcast.contract.waiting import Waiting

Rule = Literal["futility", "harm", "collapse"]
"""What ends a run before its last step: it will probably not gain enough, it has lost for sure, it has lost half."""

StoppedBy = Literal["steps", "collapse", "futility", "harm"]

HeldBy = Literal["pilot", "futility", "harm"]
"""Why a run has put itself aside."""

Phase = Literal["baseline", "training", "evaluation", "export"]


class StepImprovement(Finite):
    """The improvement at one step."""

    step: int
    improvement: Difference
    held_out: Difference | None = Field(None, description="improvement on held-out problems")


class Evaluation(StepImprovement):
    """One look at the student while it was trained, on the evaluation problems; shares.

    Null: the version that trained the run did not record it.
    """

    accuracy: float
    accuracy_se: float | None = Field(None, description="standard error of `accuracy` over problems")
    cov: float | None = Field(None, description="covariance of the sampling errors of `improvement` and the run's gap")
    problems: int | None = None
    rollouts: int | None = Field(None, description="per problem")
    collapsed: bool = Field(
        False,
        exclude_if=lambda collapsed: not collapsed,
        description="true: the run ended here, because half of the baseline was lost beyond noise; else left out",
    )


class RolloutLook(Finite):
    """A look that cost nothing: the mean of whole passes over the training problems, from the run's own rollouts."""

    step: int = Field(description="the mean step whose weights drew them")
    improvement: Difference = Field(description="mean score minus the baseline of the same problems")
    passes: int
    rollouts: int = Field(description="of all problems together")


class EarlyStop(Finite):
    """The word of a rule that a run should end before its last step."""

    step: int
    rule: Rule
    carried_out: bool = Field(
        True, description="false: announced alone. One futile run in ten goes on, so that the rule can be checked"
    )
    improvement: Difference | None = Field(
        None,
        description="the improvement at the last step as the run's own curve shows it, without the law, and its "
        "standard error; null: after a collapse, whose end is measured",
    )
    p_above_min_gain: float | None = Field(None, description="of the last step's improvement, by law and curve")
    threshold: float | None = Field(None, description="the probability below which the run is stopped")
    learnt: bool | None = Field(None, description="true: the threshold is that of `error`, learnt from finished runs")
    min_gain: float | None = None


class Artifact(BaseModel):
    """The trained weights as a model folder on the worker's machine."""

    path: str
    kind: Literal["full", "lora"]
    step: int
    revision: str = Field(description="revision of the folder, to list it under [[models]]")
    bytes: int


class RunCost(Finite):
    """The cost of a run, over all of its attempts as far as they are known."""

    seconds: float
    gpu_hours: float | None = Field(None, description="0 on a machine without a GPU")
    evaluation_seconds: float | None = Field(
        None, description="of `seconds`: baseline, gap and every evaluation; null: not recorded"
    )
    rollouts: int | None = None
    tokens: int | None = None


class WorkerCost(RunCost):
    """The cost as the worker counts it."""

    steps: int


class HeldOutResult(Finite):
    """The measurement on held-out problems at the last step."""

    baseline: float
    improvement: Difference
    problems: int


class ArmCounts(Finite):
    """The sum of each problem's scores, by arm: successes where the verifier only knows 0 and 1."""

    before: list[int | float]
    context: list[int | float]
    after: list[int | float]


class TrainingOutcome(Finite):
    """The figures of a run that has ended, as the law needs them.

    Gap and improvement share the baseline's rollouts and the problems; `cov` is the covariance of their errors.
    """

    baseline: float
    gap: Difference
    improvement: Difference
    cov: float
    collapsed: bool
    held_out: HeldOutResult | None
    evaluations: list[Evaluation] | None = Field(None, description="null: left out where runs are listed")
    rollout_looks: list[RolloutLook] | None = Field(
        None, description="the run's own rollouts, pass by pass; null: it does not evaluate all that it trains on"
    )
    stopped_at: int | None = Field(
        None, description="the step that a rule stopped the run at: `improvement` is then the estimate of its end"
    )
    counts: ArmCounts | None = Field(None, description="null: left out where runs are read to be shown")
    cost: WorkerCost
    versions: dict[str, str]


class TrainingResult(TrainingOutcome):
    """The end of a training run, as its worker measures it and as it is stored."""

    gap: Gap
    best: StepImprovement
    stopped_by: StoppedBy
    stop: EarlyStop | None = Field(
        None,
        description="what a rule has said of the run; left out where none has",
        exclude_if=lambda stop: stop is None,
    )
    steps: int
    warnings: list[Warned] = Field(default_factory=list)
    artifact: Artifact | None = None
    problem_ids: list[str] | None = Field(None, description="null: left out where runs are read to be shown")


class TrainingPartial(Finite):
    """The figures of a run that does not have a result."""

    baseline: float
    gap: Gap
    evaluations: list[Evaluation] | None = Field(None, description="null: left out where runs are listed")
    rollout_looks: list[RolloutLook] | None = None
    stop: EarlyStop | None = None
    warnings: list[Warned] = Field(default_factory=list)


class Held(Finite):
    """A run that has put itself aside."""

    step: int
    by: HeldBy
    outcome: TrainingOutcome | None = Field(None, description="of a run that a rule has stopped: its observation")


class TrainedRun(Labelled):
    """A run that Gapcast has trained, on its way into a pool."""

    external_id: str
    pool: str
    source: str
    family: str
    parameters: float | None = None
    prediction_id: str | None = None
    configuration: TrainingConfiguration
    outcome: TrainingOutcome

    @classmethod
    def read(cls, row: dict[str, Any]) -> "TrainedRun":
        """Read a row of the lab's pool, in which configuration and outcome stand beside the names."""
        parts = {
            "configuration": {name: row[name] for name in TrainingConfiguration.model_fields if name in row},
            "outcome": row,
        }
        return cls.model_validate(row | parts)


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


class PredictedInterval(Finite):
    """A prediction interval, and whether the outcome lies in it."""

    level: float
    lower: float
    upper: float
    covered: bool | None = Field(None, description="null until the improvement is known")


class Predicted(Finite):
    """The prediction that was made of this run."""

    prediction_id: str
    value: float | None = Field(description="null: the law refused to predict")
    intervals: list[PredictedInterval]
    verdict: str


class CheckpointRef(BaseModel):
    """The newest checkpoint; where the run goes on after a pause or a crash."""

    step: int
    bytes: int
    created_at: str


class RunProgress(Paced):
    """How far a run is, in optimizer steps, and what it is at."""

    done: int
    total: int
    unit: Literal["steps"] = "steps"
    phase: Phase


class TrainingRunOut(Labelled, Identified):
    """A training run; what is not known yet is null."""

    object: Literal["training_run"] = "training_run"
    status: Status
    group_id: str | None = Field(description="shared by runs that were asked for together")
    prediction_id: str | None
    seed: int
    pool: str
    family: str
    configuration: TrainingConfiguration
    training: TrainedOn
    progress: RunProgress | None = None
    waiting: Waiting | None = Field(None, description="while it is queued; null in lists")
    baseline: float | None = Field(None, description="student accuracy before training")
    gap: Gap | None = None
    improvement: MeasuredImprovement | None = None
    evaluations: list[Evaluation] | None = Field(
        None, description="grow while the run goes on; left out where runs are listed"
    )
    rollout_looks: list[RolloutLook] | None = Field(
        None, description="the run's own rollouts, pass by pass, against the baseline of the same problems"
    )
    collapsed: bool | None = None
    stopped_by: StoppedBy | None = None
    stop: EarlyStop | None = Field(None, description="what a rule has said of the run; null: nothing")
    held: HeldBy | None = Field(
        None, description="why a paused run has put itself aside; null: it has not. Resumed, it goes on to its end"
    )
    predicted: Predicted | None = None
    observation_id: str | None = None
    warnings: list[Warned] = Field(default_factory=list)
    checkpoint: CheckpointRef | None = None
    artifact: Artifact | None = None
    cost: RunCost | None = None
    versions: dict[str, str] | None = None
    error: Failure | None = None
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None

    @property
    def ended(self) -> bool:
        """True if it will never change again; a paused one can be resumed."""
        return self.status in TERMINAL

    @property
    def rests(self) -> bool:
        """True if it does not go on by itself: it has ended, or has put itself aside."""
        return self.ended or self.held is not None


class CheckpointOut(Identified):
    """One published checkpoint of a run; a worker keeps the two newest of an attempt and its best."""

    object: Literal["checkpoint"] = "checkpoint"
    step: int
    attempt: int
    bytes: int
    sha256: str = Field(description="SHA-256 of the manifest, which holds those of every file")
    path: str = Field(description="the folder, on the worker's machine")
    created_at: str
