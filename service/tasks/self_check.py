"""The self-check of a stored task: a job of its own, because verifiers run code that only a worker's child may run."""

from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject
from gapcast.contract.catalog import LEAST_SHARE, SelfCheck, TaskStatus
from gapcast.contract.needs import JobNeeds
from gapcast.contract.waiting import Queue
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.jobs.service import require_room
from service.kit.database import WriteSession
from service.tasks import repository
from service.tasks.models import StoredTask

KIND = "check"
QUEUE: Queue = "probes"
NEEDS = JobNeeds(memory_gb=0)
"""it loads no model"""
UNFINISHED = {
    "code": "check_cancelled",
    "message": "The self-check was cancelled.",
    "param": None,
    "category": "server",
}


def begin(session: WriteSession, row: StoredTask, most_jobs: int, *, accept: bool) -> None:
    """Ask for the check of a task that has just been sent, unless it has been checked or is being checked.

    With `accept` the task is used at once, and its check only tells.

    Raises:
        TooManyJobs: the tenant has `most_jobs` already.
    """
    if accept and not row.accepted:
        repository.change(session, row.id, accepted=True, status=repository.READY)
    checked = row.self_check is not None and row.status != "refused"  # another version may see it otherwise
    if checked or _is_live(session, row):
        return
    require_room(session, row.tenant, most_jobs)
    job = jobs.add(session, tenant=row.tenant, kind=KIND, queue=QUEUE, subject_id=row.id, needs=NEEDS)
    status = repository.READY if accept or row.accepted or row.status == repository.READY else "checking"
    repository.change(session, row.id, check_job_id=job.id, status=status, self_check=None, error=None)
    session.wake(QUEUE, job.id)


def _is_live(session: Session, row: StoredTask) -> bool:
    job = jobs.get(session, row.check_job_id) if row.check_job_id is not None else None
    return job is not None and not JobState(job.state).is_terminal


def keep(session: Session, task_id: str, result: JsonObject) -> None:
    """Store what a check has found."""
    found = SelfCheck.model_validate(result)
    _end(session, task_id, "ready" if found.share >= LEAST_SHARE else "refused", self_check=result, error=None)


def end(session: Session, job: Job) -> None:
    """Note that a check has ended; without a result nothing is known of the task, which then is not used."""
    if job.state != JobState.succeeded:
        _end(session, job.subject_id, "refused", error=job.error or UNFINISHED)


def _end(session: Session, task_id: str, status: TaskStatus, **columns: JsonObject | None) -> None:
    row = repository.by_id(session, task_id)
    # what was used before stays in use: what is accepted all the same, and what an earlier version has stored
    kept = row.status == repository.READY
    repository.change(session, task_id, status=repository.READY if kept else status, **columns)
