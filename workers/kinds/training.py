"""Jobs that train: their checkpoints, and where the trained model goes."""

import shutil
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.kit.database import Database
from service.settings import Settings
from service.training_runs import repository as runs
from service.training_runs.service import KIND, end, publish_checkpoint
from workers.kinds.kind import Configuration, Kind

CHECKPOINT = "training.checkpoint"
"""the child's line that a checkpoint is on the disk"""
OVER = (JobState.succeeded, JobState.cancelled)
"""how a job ends that nobody wants to look into: its checkpoints go, those of a failed one stay"""


class Training(Kind):
    """A training run: asked to stop, its child writes a checkpoint first."""

    name = KIND
    stops_gently = True

    def seconds(self, settings: Settings) -> float:
        """How long one attempt may run."""
        return settings.training_seconds

    def configuration(self, session: Session, job: Job) -> Configuration:
        """The run's."""
        return runs.by_id(session, job.subject_id).configuration

    def resources(self, session: Session, job: Job, settings: Settings) -> dict[str, Any]:
        """Where earlier attempts left their checkpoints, as far as this machine has them, and where new ones go."""
        run = runs.by_id(session, job.subject_id)
        return {
            "checkpoints": list(runs.newest_checkpoints(session, job.id)),
            "checkpoint_folder": str(checkpoints_of(settings.data_dir) / job.id / str(job.attempt)),
            "export_folder": str(settings.data_dir / "models" / run.id),
            "card": {"run_id": run.id, "pool": run.pool, "family": run.family, "predicted": run.predicted},
        }

    def store_partial(self, session: Session, job: Job, partial: dict[str, Any]) -> None:
        """With the run."""
        runs.store_partial(session, job.subject_id, partial)

    def store_result(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        """With the run, and as an observation."""
        end(session, job, result)

    def store_line(self, session: Session, job: Job, name: str, data: dict[str, Any]) -> None:
        """Publish a checkpoint."""
        if name == CHECKPOINT:
            publish_checkpoint(session, job, data)


def checkpoints_of(data_dir: Path) -> Path:
    """The folder with a folder a job."""
    return data_dir / "training"


def sweep(database: Database, data_dir: Path) -> None:
    """Remove the checkpoints of jobs that have succeeded or were cancelled, wherever that was done."""
    folder = checkpoints_of(data_dir)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if not names:
        return
    with database.read() as session:
        over = jobs.in_states(session, names, OVER)
    for job_id in over:
        shutil.rmtree(folder / job_id, ignore_errors=True)
