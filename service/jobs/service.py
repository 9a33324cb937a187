"""What happens around a job's life: room for one more, and the reconciler that finds what was lost."""

import socket
from collections.abc import Callable
from datetime import datetime
from math import inf

import structlog
from sqlalchemy.orm import Session

from gapcast.contract.events import JobPaused, JobRetrying
from gapcast.contract.needs import JobNeeds
from gapcast.contract.waiting import RunningJob, Waiting
from gapcast.contract.workers import WorkerOut, WorkerQueue
from service.errors import TooManyJobs
from service.events import repository as events
from service.jobs import repository
from service.jobs.models import Job, JobState
from service.kit.database import Database, WriteSession
from service.settings import Settings
from service.slots import repository as slots

log = structlog.get_logger()

RATE = "rate"
"""beside a running job's progress: how much of it is done in a second"""
SECONDS_LEFT = "seconds_left"
"""beside a running job's progress: how long it still takes at its pace, once that is known"""

Settle = Callable[[WriteSession, Job], None]
"""Called in the transaction that ends a job, whoever ends it, so that what waits for the job ends with it."""

LOST = {
    "code": "worker_lost",
    "message": "The worker that ran this job stopped answering.",
    "param": None,
    "category": "server",
}


def worker_name(pid: int) -> str:
    """How a worker process signs the jobs that it holds."""
    return f"{socket.gethostname()}:{pid}"


def require_room(session: Session, tenant: str, most: int, more: int = 1) -> None:
    """Refuse `more` jobs of a tenant that would then have over `most` that wait or run.

    Raises:
        TooManyJobs: tells when to try again.
    """
    live = repository.count_live(session, tenant)
    if live + more > most:
        detail = f"{live} jobs have not ended yet; at most {most} may wait or run. Try again when some have."
        raise TooManyJobs(detail, headers={"Retry-After": "30"})


def waiting_of(session: Session, job: Job) -> Waiting | None:
    """Say why a job has not started; None if it is not queued. One statement: for a single answer, not for lists."""
    if job.state != JobState.queued:
        return None
    needs = JobNeeds.model_validate_json(job.needs)
    standing, at, before = repository.around(session, job)
    able = [one for one in standing if one.offer.takes(needs)]
    ahead = sum(number for of, number in before if not able or any(one.offer.takes(of) for one in able))
    holding = [one for worker in able for one in worker.running if one.queue == job.queue or worker.offer.memory_gb]
    shown = [_running(one, at, job.tenant) for one in holding if at is not None]
    # a job that will end soon by its pace, else the oldest one
    first = min(shown, key=lambda one: inf if one.seconds_left is None else one.seconds_left, default=None)
    slots = [(_free(one, job.queue, needs), one.offer) for one in able]
    free = sum(number for number, _ in slots) > ahead or any(
        number > sum(queued for of, queued in before if offer.takes(of)) for number, offer in slots
    )
    return Waiting.model_validate(
        {
            "queue": job.queue,
            "ahead": ahead,
            "workers": len(able),
            "unable": len(standing) - len(able),
            "needs": needs,
            "running": None if free else first,
        }
    )


def _free(worker: repository.Standing, queue: str, needs: JobNeeds) -> int:
    """How many of a worker's slots could take a job now."""
    offer = worker.offer
    held = sum(offer.share_of(JobNeeds.model_validate_json(one.needs)) for one in worker.running)
    if offer.share_of(needs) > (offer.memory_gb or 0.0) - held:
        return 0
    return worker.slots - sum(one.queue == queue for one in worker.running)


def _running(job: repository.Running, at: datetime, tenant: str) -> RunningJob:
    return RunningJob(
        id=job.subject_id if job.tenant == tenant else None,
        kind=job.kind,
        seconds=(at - job.started_at).total_seconds(),
        seconds_left=(job.progress or {}).get(SECONDS_LEFT),
    )


def workers(session: Session, tenant: str) -> list[WorkerOut]:
    """Return the workers that have given a sign of life lately, by name; jobs of other tenants have no id."""
    due, rows = repository.count_due(session), repository.holding(session)
    by_worker: dict[str, list[RunningJob]] = {}
    for job in rows:
        by_worker.setdefault(job.worker or "", []).append(_running(job.running, job.at, tenant))
    found: dict[str, WorkerOut] = {}
    for sign, at in slots.alive(session):
        number = sum(count for queue, needs, count in due if queue == sign.queue and sign.offer.takes(needs))
        queue = WorkerQueue.model_validate({"queue": sign.queue, "slots": sign.slots, "queued": number})
        seen = (at - sign.expires_at).total_seconds() + slots.GONE
        running = by_worker.get(sign.worker, [])
        one = found.setdefault(
            sign.worker, WorkerOut(name=sign.worker, queues=[], seen_seconds=seen, jobs=running, **dict(sign.offer))
        )
        one.queues.append(queue)
    return list(found.values())


def record_return(session: WriteSession, job: Job, settle: Settle) -> None:
    """Write down that an attempt came to nothing, and settle the job if that was the last one."""
    error = job.error or LOST
    if JobState(job.state).is_terminal:
        settle(session, job)
    else:
        back = JobPaused if job.state == JobState.paused else JobRetrying
        told = back.model_validate({"attempt": job.attempt, "failures": job.failures, "error": error})
        events.add(session, job.tenant, job.id, told)


def reconcile(database: Database, settings: Settings, settle: Settle) -> None:
    """Take back expired jobs, and wake those whose wake-up must be sent (again). Harmless in many processes."""
    with database.write() as session:
        for job in repository.take_back_expired(session, settings.max_failures, LOST):
            log.warning("job_taken_back", job=job.id, state=job.state, attempt=job.attempt)
            record_return(session, job, settle)
    with database.write() as session:
        for queue, job_id in repository.take_undispatched(session, settings.republish_seconds):
            session.wake(queue, job_id)
