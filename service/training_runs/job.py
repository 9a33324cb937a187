"""Jobs that train: their checkpoints, and where the trained model goes."""

import shutil
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject, Warned
from gapcast.contract.events import Ended, TrainingCheckpoint, TrainingRunHeld
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import Held, TrainedRun, TrainingOutcome, TrainingResult
from service.catalog.service import own_pool
from service.errors import OldFit
from service.events import repository as events
from service.forecasts import service as forecasts
from service.jobs import repository as jobs
from service.jobs.kind import Configuration, Kind, Places, Result
from service.jobs.models import Job, JobState
from service.kit.database import Database, WriteSession
from service.kit.errors import InvalidRequest
from service.observations import service as observations
from service.settings import Settings
from service.training_runs import repository as runs
from service.training_runs.models import TrainingRun
from service.training_runs.presenting import run_out

log = structlog.get_logger()

CHECKPOINT = "training.checkpoint"
"""the child's line that a checkpoint is on the disk"""
STOPPED = "/stopped"
"""after a run's id: the external id of the observation that it is while a rule has stopped it"""
OVER = (JobState.succeeded, JobState.cancelled)
"""how a job ends that nobody wants to look into: its checkpoints go, those of a failed one stay"""


class TrainingJob(Kind[None]):
    """A training run: asked to stop, its child writes a checkpoint first."""

    name = "training"
    queue = "training"
    entry = "workers.ranks.job:run"
    stops_gently = True

    def seconds(self, settings: Settings) -> float:
        """How long one attempt may run."""
        return settings.training_seconds

    def silence(self, settings: Settings) -> float:
        """Return for how many seconds it may say nothing: a step of a large model is long."""
        return settings.training_silence_seconds

    def configuration(self, session: Session, job: Job) -> Configuration:
        """The run's. The first attempt fixes the law that forecasts it: later ones come to the same decisions."""
        run = runs.by_id(session, job.subject_id)
        law = run.watched_by
        if law is not None and "fit_id" not in law:
            fit_id = forecasts.newest_fit(session, job.tenant, law["pool"])
            runs.watch(session, run.id, {"pool": law["pool"], "fit_id": fit_id})
        return run.configuration

    def resources(self, session: Session, job: Job, settings: Settings) -> Places:
        """Where earlier attempts left their checkpoints, as far as this machine has them, and where new ones go."""
        run = runs.by_id(session, job.subject_id)
        return {
            "checkpoints": list(runs.newest_checkpoints(session, job.id)),
            "checkpoint_folder": str(checkpoints_of(settings.data_dir) / job.id / str(job.attempt)),
            "export_folder": str(settings.data_dir / "models" / run.id),
            "card": {"run_id": run.id, "pool": run.pool, "family": run.family, "predicted": run.predicted},
            "released": run.released,
            "watch": watch_of(session, run),
        }

    def store_partial(self, session: Session, job: Job, partial: Result) -> None:
        """With the run."""
        runs.store_partial(session, job.subject_id, partial)

    def store_result(self, session: Session, job: Job, result: Result) -> None:
        """With the run, and as an observation."""
        end(session, job, result)

    def hold(self, session: WriteSession, job: Job, held: JsonObject) -> None:
        """With the run, and as an observation if a rule has stopped it."""
        put_aside(session, job, held)

    def store_event(self, session: Session, job: Job, name: str, data: JsonObject, settings: Settings) -> None:
        """Publish a checkpoint."""
        if name == CHECKPOINT:
            publish_checkpoint(session, job, data)

    def settle(self, session: Session, job: Job, prepared: None = None) -> None:
        """End the run."""
        end_without_result(session, job)

    def sweep(self, database: Database, settings: Settings) -> None:
        """Remove the checkpoints of jobs that have succeeded or were cancelled, wherever that was done."""
        folder = checkpoints_of(settings.data_dir)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        if not names:
            return
        with database.read() as session:
            over = jobs.in_states(session, names, OVER)
        for job_id in over:
            shutil.rmtree(folder / job_id, ignore_errors=True)


def checkpoints_of(data_dir: Path) -> Path:
    """The folder with a folder a job."""
    return data_dir / "training"


def publish_checkpoint(session: Session, job: Job, told: JsonObject) -> None:
    """Let a run point at a checkpoint; the caller holds the job.

    Where the run has come further than ever, its retry budget is whole again: a run of days survives many lost workers,
    and one that crashes at the same step again and again is dead all the same, also where each attempt begins anew.
    """
    checkpoint = TrainingCheckpoint.model_validate(told)
    furthest = runs.furthest_checkpoint(session, job.id)
    runs.publish_checkpoint(session, job, checkpoint)
    if checkpoint.step > furthest:
        jobs.forgive(session, job.id, job.attempt)


def end(session: Session, job: Job, told: JsonObject) -> None:
    """Store what came of a run and the observation that it is, in the transaction that ends its job."""
    result = TrainingResult.model_validate(told)
    run = runs.by_id(session, job.subject_id)
    estimate, observation_id = run.observation_id, None
    try:
        observation_id = _store(session, run, result, run.id)
    except InvalidRequest as error:
        # weeks of training are not to be lost over a row; whoever reads the run can add it by hand
        log.error("observation_not_stored", run=run.id, error=error.detail)
        warning = Warned(code="observation_not_stored", message=f"No observation was stored: {error.detail}")
        result = result.model_copy(update={"warnings": [*result.warnings, warning]})
    if estimate is not None and observation_id is not None:
        observations.supersede(session, run.tenant, estimate, f"{run.id} was resumed and measured: {observation_id}")
    runs.store_result(session, run.id, result, observation_id)


def watch_of(session: Session, run: TrainingRun) -> JsonObject | None:
    """Return what a run's child forecasts it by; None if that is not known, or cannot be read any more."""
    law, row = run.watched_by, runs.get(session, run.tenant, run.id)
    if law is None or row is None:
        return None
    fit_id = law.get("fit_id")
    try:
        return forecasts.given(session, run.tenant, run_out(row), law["pool"], fit_id).model_dump(mode="json")
    except OldFit:  # the service was updated while the run went on
        log.warning("run_not_forecast", run=run.id, fit=fit_id)
        return None


def put_aside(session: Session, job: Job, told: JsonObject) -> None:
    """Store why a run has put itself aside, and the observation that a stopped one is (docs: LIVE)."""
    held = Held.model_validate(told)
    run = runs.by_id(session, job.subject_id)
    observation_id = run.observation_id
    if held.outcome is not None:
        try:
            observation_id = _store(session, run, held.outcome, f"{run.id}{STOPPED}")
        except InvalidRequest as error:  # it stays paused, and can be resumed
            log.error("observation_not_stored", run=run.id, error=error.detail)
    runs.hold(session, run.id, held.by, observation_id)
    events.add(session, run.tenant, run.id, TrainingRunHeld(by=held.by, step=held.step, observation_id=observation_id))


def _store(session: Session, run: TrainingRun, outcome: TrainingOutcome, external_id: str) -> str:
    rows = observations.check([_trained(run, outcome, external_id)])
    return observations.store(session, run.tenant, rows).ids[0]


def _trained(run: TrainingRun, outcome: TrainingOutcome, external_id: str) -> TrainedRun:
    return TrainedRun(
        name=run.name,
        tags=run.tags,
        external_id=external_id,
        pool=own_pool(run.pool),  # runs of before shipped pools were read-only may name one
        source="training",
        family=run.family,
        parameters=run.parameters,
        prediction_id=run.prediction_id,
        configuration=TrainingConfiguration.model_validate(run.configuration, extra="ignore"),
        outcome=outcome,
    )


def end_without_result(session: Session, job: Job) -> None:
    """Say how a job's run has ended, and let one that has no result be repeated; in the job's last transaction."""
    if job.state != JobState.succeeded:
        runs.free_key(session, job.subject_id)
    told = Ended.model_validate({"error": job.error} if job.error else {})
    events.add(session, job.tenant, job.subject_id, told, f"training_run.{job.state}")


KIND = TrainingJob()
