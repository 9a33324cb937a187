"""What ends with a job, by the job's kind."""

from sqlalchemy.orm import Session

from service.jobs.models import Job
from service.jobs.service import Settle
from service.kit.database import Database
from service.predictions import service as predictions
from service.probes import service as probes
from service.training_runs import service as training_runs

SETTLERS: dict[str, Settle] = {probes.KIND: predictions.settle, training_runs.KIND: training_runs.settle}


def prepare(database: Database, job: Job) -> None:
    """Compute what the end of a job needs, before the transaction that ends it."""
    if job.kind == probes.KIND:
        predictions.prepare_to_settle(database, job)


def settle(session: Session, job: Job) -> None:
    """End what waits for a job, in the transaction that ends it."""
    SETTLERS[job.kind](session, job)
