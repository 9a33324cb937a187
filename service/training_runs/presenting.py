"""A stored run as the API shows it; pure, no database."""

from pydantic import TypeAdapter

from gapcast.contract.base import Failure
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import (
    BestStep,
    CheckpointOut,
    CheckpointRef,
    HeldBy,
    HeldOutImprovement,
    MeasuredImprovement,
    Predicted,
    RunProgress,
    TrainingResult,
    TrainingRunOut,
)
from gapcast.contract.waiting import Waiting
from service.jobs.models import Job, JobState
from service.kit.clock import rfc3339
from service.training_runs.models import Checkpoint, TrainingRun
from service.training_runs.repository import Row


def run_out(row: Row, waiting: Waiting | None = None) -> TrainingRunOut:
    """Show a run: its result, else what is known so far, and why it waits where that was asked."""
    run, job, result = row.run, row.job, row.result
    state = JobState(job.state)
    known = result or row.partial
    improvement = _improvement(result) if result is not None else None
    # fields that only a later version has written are left out, and those that came later have their defaults
    configuration = TrainingConfiguration.model_validate(run.configuration, extra="ignore")
    return TrainingRunOut(
        id=run.id,
        name=run.name,
        tags=run.tags,
        status=state.value,
        group_id=run.group_id,
        prediction_id=run.prediction_id,
        seed=configuration.seed,
        pool=run.pool,
        family=run.family,
        configuration=configuration,
        training=configuration.trained_on,
        progress=_progress(job, state),
        waiting=waiting,
        baseline=known.baseline if known is not None else None,
        gap=known.gap if known is not None else None,
        improvement=improvement,
        evaluations=known.evaluations if known is not None else None,
        rollout_looks=known.rollout_looks if known is not None else None,
        collapsed=result.collapsed if result is not None else None,
        stopped_by=result.stopped_by if result is not None else None,
        stop=known.stop if known is not None else None,
        held=held_by(run) if state is JobState.paused else None,
        predicted=_judged(run, improvement),
        observation_id=run.observation_id,
        warnings=known.warnings if known is not None else [],
        checkpoint=_checkpoint(row.checkpoint),
        artifact=result.artifact if result is not None else None,
        cost=result.cost if result is not None else None,
        versions=result.versions if result is not None else None,
        error=Failure.model_validate(job.error) if state.is_terminal and job.error else None,
        created_at=rfc3339(run.created_at),
        started_at=rfc3339(job.started_at) if job.started_at is not None else None,
        finished_at=rfc3339(job.finished_at) if job.finished_at is not None else None,
    )


def held_by(run: TrainingRun) -> HeldBy | None:
    """Return why a run has put itself aside, as it was written."""
    return TypeAdapter(HeldBy).validate_python(run.held) if run.held is not None else None


def _progress(job: Job, state: JobState) -> RunProgress | None:
    return RunProgress.model_validate(job.progress) if job.progress and not state.is_terminal else None


def _improvement(result: TrainingResult) -> MeasuredImprovement:
    """Show improvement, best step and held-out problems as one object."""
    best, held_out = result.best, result.held_out
    shown = MeasuredImprovement(
        **dict(result.improvement), best=BestStep(step=best.step, **dict(best.improvement)), held_out=None
    )
    if held_out is not None:
        shown.held_out = HeldOutImprovement(
            **dict(held_out.improvement),
            baseline=held_out.baseline,
            problems=held_out.problems,
            best=BestStep(step=best.step, **dict(best.held_out)) if best.held_out is not None else None,
        )
    return shown


def _judged(run: TrainingRun, improvement: MeasuredImprovement | None) -> Predicted | None:
    """Show what was predicted, and which intervals hold the outcome."""
    if run.predicted is None:
        return None
    predicted = Predicted.model_validate(run.predicted)
    if improvement is not None:
        for interval in predicted.intervals:
            interval.covered = interval.lower <= improvement.value <= interval.upper
    return predicted


def _checkpoint(row: Checkpoint | None) -> CheckpointRef | None:
    if row is None:
        return None
    return CheckpointRef(step=row.step, bytes=row.bytes, created_at=rfc3339(row.created_at))


def checkpoint_out(row: Checkpoint) -> CheckpointOut:
    """Show a checkpoint."""
    return CheckpointOut(
        id=row.id,
        step=row.step,
        attempt=row.attempt,
        bytes=row.bytes,
        sha256=row.sha256,
        path=row.path,
        created_at=rfc3339(row.created_at),
    )
