"""Events: what happened to a job, or to what waits for it; one class for the data of each type."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel

from gapcast.contract.base import Failure, Warned
from gapcast.contract.catalog import CheckProgress
from gapcast.contract.comparison_jobs import PartResult
from gapcast.contract.comparisons import ComparisonProgress, Round
from gapcast.contract.forecasts import ForecastAt, KnownCurves, PredictedBefore
from gapcast.contract.probes import Gap, ProbeResult, Progress
from gapcast.contract.samples import Sample
from gapcast.contract.training_results import EarlyStop, Evaluation, HeldBy, RunProgress, TrainingPartial


class EventData(BaseModel):
    """The data of one type of event; `type` is its name on the wire."""

    type: ClassVar[str]

    def written(self) -> dict[str, Any]:
        """Return the JSON that is stored and sent: the fields that were given."""
        return self.model_dump(mode="json", exclude_unset=True)


Data = TypeVar("Data", bound=EventData)

Emit = Callable[[EventData], None]
"""A function that takes the events of a job while it runs."""


class JobStarted(EventData):
    """A worker has claimed the job."""

    type = "job.started"
    attempt: int
    worker: str


class JobRetrying(EventData):
    """An attempt came to nothing and another will follow."""

    type = "job.retrying"
    attempt: int
    failures: int
    error: Failure


class JobHandedBack(EventData):
    """The job's worker stops; another goes on at `step`, if the job says so."""

    type = "job.handed_back"
    attempt: int
    step: int | None


class JobPauseRequested(EventData):
    """Somebody asked for the job to be put aside."""

    type = "job.pause_requested"


class JobPaused(EventData):
    """The job is put aside until it is resumed."""

    type = "job.paused"
    attempt: int
    step: int | None = None
    held: HeldBy | None = None
    """why it has put itself aside; null: somebody asked for it"""
    failures: int = 0
    error: Failure | None = None


class JobResumed(EventData):
    """The job waits for a worker again."""

    type = "job.resumed"


class JobCancelRequested(EventData):
    """Somebody asked for the job to be cancelled."""

    type = "job.cancel_requested"


class JobSucceeded(EventData):
    """The job's result is stored."""

    type = "job.succeeded"
    attempt: int


class JobFailed(EventData):
    """The job ended with an error that another attempt would meet again."""

    type = "job.failed"
    attempt: int
    error: Failure | None


class JobCancelled(EventData):
    """The job ended because somebody asked for it."""

    type = "job.cancelled"
    attempt: int
    step: int | None = None
    error: Failure | None = None


class ProbeProgress(Progress, EventData):
    """How far a probe is, in rollouts, and its gap so far."""

    type = "probe.progress"


class ProbePartial(EventData):
    """The measurement of a probe so far: it is kept with the probe, and no stream of events shows it."""

    type = "probe.partial"
    result: ProbeResult

    def written(self) -> dict[str, Any]:
        """Return the result's JSON."""
        return self.result.model_dump(mode="json", exclude_unset=True)


class ProbeSamples(EventData):
    """The rollouts of a probe's next problems: they are kept with the probe, and no stream of events shows them."""

    type = "probe.samples"
    first: bool
    """True if they are the first of an attempt: they replace what an earlier one has stored"""
    samples: list[Sample]


class ProbeCancelRequested(EventData):
    """Somebody asked for the probe to be cancelled."""

    type = "probe.cancel_requested"


class TaskChecked(CheckProgress, EventData):
    """How far the self-check of a task is, in problems."""

    type = "check.progress"


class ComparisonProgressed(ComparisonProgress, EventData):
    """How far a comparison is, in rollouts."""

    type = "comparison.progress"


class ComparisonRound(Round, EventData):
    """A round of a comparison has ended; after a lost worker its rounds are told again."""

    type = "comparison.round"


class ComparisonPartial(EventData):
    """The rounds of a comparison so far: they are kept with it, and no stream of events shows this."""

    type = "comparison.partial"
    result: PartResult

    def written(self) -> dict[str, Any]:
        """Return the result's JSON."""
        return self.result.model_dump(mode="json")


class ComparisonCreated(EventData):
    """A comparison was asked for."""

    type = "comparison.created"
    configurations: int


class RecommendationCreated(EventData):
    """A plan was asked for."""

    type = "recommendation.created"
    configurations: int
    execute: bool


class RecommendationStep(EventData):
    """A step of a plan has begun; what it started has events of its own, in the same stream."""

    type = "recommendation.step"
    number: int
    """from 1"""
    action: Literal["probe", "pilot", "train"]
    configurations: list[int]
    comparison_id: str | None
    training_run_ids: list[str]


class RecommendationPiloted(EventData):
    """The pilots of a step are over: the best go on, the others are cancelled."""

    type = "recommendation.piloted"
    number: int
    """of the step, from 1"""
    finished_run_ids: list[str]
    cancelled_run_ids: list[str]


class RecommendationReplanned(EventData):
    """The runs of a step have taught the law, and the rest of the plan was made anew."""

    type = "recommendation.replanned"
    fit_id: str


class TrainingProgress(RunProgress, EventData):
    """How far a run is, in optimizer steps, and what it is at."""

    type = "training.progress"


class TrainingPartialMessage(TrainingPartial, EventData):
    """The results of a run so far; the newest is kept with the run, and is not stored as an event."""

    type = "training.partial"


class TrainingGap(EventData):
    """The measurement before the first step."""

    type = "training.gap"
    baseline: float
    gap: Gap


StepPhase = Literal["rollouts", "verification", "forward_backward", "weight_sync"]


class StepSeconds(BaseModel):
    """Wall-clock seconds of one optimizer step. The phases leave out its contexts, optimizer and teacher."""

    total: float
    rollouts: float
    """drawing the student's rollouts"""
    verification: float
    """scoring them"""
    forward_backward: float
    """passes of student and self-teacher, and the gradient"""
    weight_sync: float
    """handing the new weights to the engine that draws rollouts; 0 where it shares them"""


class TrainingMetrics(EventData):
    """The metrics of one optimizer step."""

    type = "training.metrics"
    step: int
    loss: float | None
    """Mean divergence in nats a token, clipped where the recipe clips; null where no rollout had a context, and so
    nothing was learned."""
    score: float
    """Mean score of the student's rollouts."""
    with_context: float
    """Share of rollouts with a context."""
    agreement: float | None
    """Share of tokens whose most likely next token is the same for student and self-teacher."""
    gradient_norm: float | None
    learning_rate: float
    mean_tokens: float
    """Mean tokens of the student's rollouts."""
    truncated: float
    """Share of them that ran into `max_tokens`."""
    tokens: int
    tokens_per_second: float
    missing: dict[str, int]
    """Rollouts without a context, by reason."""
    entropy: float | None = None
    """Mean negative log-probability of the tokens that the student drew, in nats: an estimate of its entropy. null: no
    token was drawn, or the worker did not report it."""
    seconds: StepSeconds | None = None
    """null in events of a worker that did not measure them"""


class TrainingEvaluated(Evaluation, EventData):
    """One look at the student while it was trained."""

    type = "training.evaluated"


class TrainingForecast(EventData):
    """The end of a run as it is expected after a look, under the law that was the newest when the run began."""

    type = "training.forecast"
    now: ForecastAt
    before: PredictedBefore
    min_gain: float
    curves: KnownCurves


class TrainingStop(EarlyStop, EventData):
    """A rule says that the run should end before its last step; `carried_out` says if it does."""

    type = "training.stop"


class TrainingCheckpoint(EventData):
    """A checkpoint that is on the worker's disk."""

    type = "training.checkpoint"
    step: int
    path: str
    bytes: int
    sha256: str
    """SHA-256 of the manifest, which holds those of every file."""


class TrainingResumed(EventData):
    """The run goes on after `step` optimizer steps."""

    type = "training.resumed"
    step: int


class TrainingWarning(Warned, EventData):
    """Something to know about the run before its number is trusted."""

    type = "training.warning"


class TrainingRunHeld(EventData):
    """A run has put itself aside: after its pilot, or because a rule has stopped it. Resumed, it goes on to its end."""

    type = "training_run.held"
    by: HeldBy
    step: int
    observation_id: str | None
    """the observation that it is until then; null: it is none"""


class PredictionCreated(EventData):
    """A prediction was asked for; without a probe its gap was measured elsewhere."""

    type = "prediction.created"
    probe_id: str | None


class TrainingRunCreated(EventData):
    """A training run was asked for."""

    type = "training_run.created"
    seed: int
    prediction_id: str | None


class FitCreated(EventData):
    """A pool has a new version of its law, made at one of its changes."""

    type = "fit.created"
    pool: str
    n: int
    changes: int


class FitDrift(EventData):
    """The versions of a family follow different laws, and did not in the fit before."""

    type = "fit.drift"
    pool: str
    family: str
    log_bayes_factor: float
    versions: dict[str, int]


class ObservationExcluded(EventData):
    """An observation counts in its pool's fits no more."""

    type = "observation.excluded"
    pool: str
    reason: str | None


class ObservationIncluded(EventData):
    """An observation counts in its pool's fits again."""

    type = "observation.included"
    pool: str
    reason: str | None


class Ended(EventData):
    """A resource that waited for a job has ended; the type is its kind, such as `prediction.`, and its last status."""

    error: Failure | None = None


class EventOut(BaseModel):
    """One thing that happened."""

    id: str
    object: Literal["event"] = "event"
    type: str
    data: dict[str, Any]
    created_at: str


class EventPage(BaseModel):
    """A page of events, oldest first."""

    object: Literal["list"] = "list"
    data: list[EventOut]
    first_id: str | None
    last_id: str | None
    has_more: bool


def content_of(event: EventOut, kind: type[Data]) -> Data | None:
    """Return an event's data if it is of this kind, else None: `content_of(event, TrainingMetrics)`."""
    return kind.model_validate(event.data, extra="ignore") if event.type == kind.type else None
