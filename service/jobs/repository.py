"""The SQL of durable jobs. Every change of a running job is guarded by its attempt, the fence."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.orm import Session, aliased

from gapcast.contract.base import JsonObject
from gapcast.contract.needs import JobNeeds, Offer
from service.jobs.models import Job, JobState
from service.kit.clock import now
from service.kit.database import Json
from service.kit.ids import new_id
from service.slots.models import Slots


class Asked(NamedTuple):
    """What was asked of a running job."""

    cancel: bool
    pause: bool


class Running(NamedTuple):
    """A job that holds a slot."""

    tenant: str
    subject_id: str
    kind: str
    queue: str
    needs: str
    started_at: datetime
    progress: JsonObject | None


class Due(NamedTuple):
    """A job that a slot may take."""

    id: str
    needs: JobNeeds
    created_at: datetime


class Standing(NamedTuple):
    """A live worker of a queue, its slots there, and all that it runs."""

    slots: int
    offer: Offer
    running: list[Running]


MOST_RUNNING = 100
"""jobs that a list of workers shows"""


def add(session: Session, *, tenant: str, kind: str, queue: str, subject_id: str, needs: JobNeeds | None = None) -> Job:
    """Store a queued job that is due at once; without `needs` any worker of its queue takes it."""
    job = Job(
        id=new_id("job"),
        tenant=tenant,
        kind=kind,
        queue=queue,
        needs=(needs or JobNeeds()).text,
        subject_id=subject_id,
        state=JobState.queued,
        attempt=0,
        failures=0,
        available_at=now(),
        dispatched_at=now(),  # its creator publishes the wake-up after the commit
        created_at=now(),
    )
    session.add(job)
    session.flush()
    return job


def add_ended(session: Session, *, tenant: str, kind: str, queue: str, subject_id: str) -> Job:
    """Store a job that has succeeded already: its work was done elsewhere."""
    job = add(session, tenant=tenant, kind=kind, queue=queue, subject_id=subject_id)
    job.state, job.finished_at = JobState.succeeded, job.created_at
    session.flush()
    return job


def get(session: Session, job_id: str, *, lock: bool = False) -> Job | None:
    """Read one job; `lock` holds its row until the transaction ends."""
    query = select(Job).where(Job.id == job_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.execute(query).scalar_one_or_none()


def in_states(session: Session, job_ids: Sequence[str], states: Sequence[JobState]) -> Sequence[str]:
    """Those of these ids whose jobs are in one of these states."""
    query = select(Job.id).where(Job.id.in_(job_ids), Job.state.in_(states))
    return session.execute(query).scalars().all()


def count_live(session: Session, tenant: str) -> int:
    """How many of a tenant's jobs wait for a worker or have one."""
    live = (JobState.queued, JobState.running)
    return session.execute(select(func.count()).where(Job.tenant == tenant, Job.state.in_(live))).scalar_one()


def next_due(
    session: Session, queue: str, kinds: Collection[str], besides: Collection[str], takes: Callable[[JobNeeds], bool]
) -> Due | None:
    """Return the oldest job of a queue that is due: one that was taken back goes before younger ones.

    Args:
        session: of a read.
        queue: one of `gapcast.contract.waiting.QUEUES`.
        kinds: that are known here.
        besides: ids of jobs that are not wanted.
        takes: True if a job with these needs is wanted.
    """
    due = (
        Job.state == JobState.queued,
        Job.available_at <= now(),
        Job.queue == queue,
        Job.kind.in_(kinds),
        Job.id.not_in(besides),
    )
    needs = {text: _needs(text) for text in session.execute(select(Job.needs).where(*due).distinct()).scalars()}
    wanted = [text for text, of in needs.items() if takes(of)]
    if not wanted:
        return None
    oldest = select(Job.id, Job.needs, Job.created_at).where(*due, Job.needs.in_(wanted))
    row = session.execute(oldest.order_by(Job.created_at, Job.id).limit(1)).one_or_none()
    return None if row is None else Due(row.id, needs[row.needs], row.created_at)


def _needs(text: str) -> JobNeeds:
    return JobNeeds.model_validate_json(text)


class Around(NamedTuple):
    """What a queued job waits for: the live workers of its queue, and the jobs before it.

    Attributes:
        workers: with the jobs that they run. at: the moment of the look; None where no worker lives.
        before: how many jobs are due and were created before it, by what they need.
    """

    workers: list[Standing]
    at: datetime | None
    before: list[tuple[JobNeeds, int]]


def _around() -> CompoundSelect[*tuple[Any, ...]]:
    """Return the statement of `around`; it is made once, as that takes longer than to ask it."""
    mine, other = aliased(Job), aliased(Job)
    queue: BindParameter[str] = bindparam("queue")
    before = tuple_(other.created_at, other.id) < tuple_(mine.created_at, mine.id)
    queued = and_(other.queue == queue, other.state == JobState.queued, other.available_at <= now())
    counts = select(other.needs.label("waits"), func.count().label("number")).select_from(other).join(mine, before)
    counted = counts.where(queued, mine.id == bindparam("id")).group_by(other.needs).subquery()
    shown = [getattr(Job, name) for name in Running._fields]
    signs = (Slots.worker, Slots.slots, Slots.offer, now().label("at"))
    runs = and_(Job.worker == Slots.worker, Job.state == JobState.running)
    of_workers = (
        select(*signs, *shown, null().label("waits"), null().label("number"))
        .outerjoin(Job, runs)
        .where(Slots.queue == queue, Slots.expires_at > now())
    )
    both: CompoundSelect[*tuple[Any, ...]] = union_all(
        of_workers, select(*(null() for _ in (*signs, *shown)), counted.c.waits, counted.c.number)
    )
    return both.order_by("started_at")


_AROUND = _around()


def around(session: Session, job: Job) -> Around:
    """Read it in one statement, what runs the oldest first."""
    found = Around([], None, [])
    workers: dict[str, Standing] = {}
    rows = session.connection().execute(_AROUND, {"queue": job.queue, "id": job.id})
    for name, slots, offer, at, *running, waits, number in rows:
        if waits is not None:
            found.before.append((_needs(waits), number))
            continue
        found = found._replace(at=at)
        worker = workers.setdefault(name, Standing(slots, offer, []))
        one = Running(*running)
        if one.subject_id is not None:
            worker.running.append(one)
    return found._replace(workers=list(workers.values()))


class Holding(NamedTuple):
    """A job that runs, and the worker that holds it; `at` is the moment of the look."""

    worker: str | None
    running: Running
    at: datetime


def holding(session: Session) -> list[Holding]:
    """Read the jobs that run, the oldest first; at most MOST_RUNNING."""
    shown = [getattr(Job, name) for name in Running._fields]
    query = select(Job.worker, now(), *shown).where(Job.state == JobState.running)
    rows = session.execute(query.order_by(Job.started_at).limit(MOST_RUNNING))
    return [Holding(worker, Running(*running), at) for worker, at, *running in rows]


def count_due(session: Session) -> list[tuple[str, JobNeeds, int]]:
    """Count the jobs that are due and have not started, by queue and by what they need."""
    due = (Job.state == JobState.queued, Job.available_at <= now())
    rows = session.execute(select(Job.queue, Job.needs, func.count()).where(*due).group_by(Job.queue, Job.needs))
    return [(queue, _needs(text), number) for queue, text, number in rows]


def _chosen(query: Select[str]) -> Select[str]:
    """Pick rows that no other transaction holds; materialized, so that the choice is made once."""
    locked = query.with_for_update(skip_locked=True).cte("chosen").prefix_with("MATERIALIZED")
    return select(locked.c.id)


def claim(session: Session, job_id: str, worker: str, lease_seconds: float) -> Job | None:
    """Take a due job: one conditional update that raises the fence. None when it is not to be had."""
    due = select(Job.id).where(Job.id == job_id, Job.state == JobState.queued, Job.available_at <= now())
    statement = (
        update(Job)
        .where(Job.id.in_(_chosen(due)), Job.state == JobState.queued)
        .values(
            state=JobState.running,
            attempt=Job.attempt + 1,
            worker=worker,
            lease_expires_at=now(lease_seconds),
            started_at=func.coalesce(Job.started_at, now()),
            progress=None,
        )
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.execute(statement).scalar_one_or_none()


REQUESTS = (Job.cancel_requested_at, Job.pause_requested_at)


def _held(job_id: str, attempt: int) -> Any:  # noqa: ANN401
    return and_(Job.id == job_id, Job.attempt == attempt, Job.state == JobState.running)


def heartbeat(
    session: Session, job_id: str, attempt: int, lease_seconds: float, progress: JsonObject | None = None
) -> Asked | None:
    """Extend the lease. Returns what was asked of the job, or None when the lease is lost."""
    values: dict[str, Any] = {"lease_expires_at": now(lease_seconds)}
    if progress is not None:
        values["progress"] = progress
    statement = (
        update(Job)
        .where(_held(job_id, attempt))
        .values(values)
        .returning(*REQUESTS)
        .execution_options(synchronize_session=False)
    )
    return _asked(session.execute(statement).one_or_none())


def asked(session: Session, job_id: str, attempt: int) -> Asked | None:
    """Read what was asked of a running job, between two heartbeats; None when the lease is lost."""
    return _asked(session.execute(select(*REQUESTS).where(_held(job_id, attempt))).one_or_none())


def _asked(times: Row[Any, Any] | None) -> Asked | None:
    # SQLite 3.40 answers RETURNING ... IS NOT NULL with true, whatever is there: the times themselves are asked for
    return None if times is None else Asked(*(time is not None for time in times))


def forgive(session: Session, job_id: str, attempt: int) -> None:
    """Give a running job its whole retry budget again, because this attempt has come further than those before."""
    statement = update(Job).where(_held(job_id, attempt)).values(failures=0)
    session.execute(statement.execution_options(synchronize_session=False))


def finish(session: Session, job_id: str, attempt: int, state: JobState, error: JsonObject | None = None) -> Job | None:
    """End a running job; None when this attempt no longer holds it, and then nothing else may be written."""
    statement = (
        update(Job)
        .where(_held(job_id, attempt))
        .values(state=state, error=error, lease_expires_at=None, finished_at=now())
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.execute(statement).scalar_one_or_none()


def _after_failure(max_failures: int) -> dict[str, Any]:
    """The values of a job whose attempt came to nothing: as asked, dead after the budget, else queued."""
    cancel, pause = (column.is_not(None) for column in REQUESTS)
    over = or_(cancel, Job.failures + 1 >= max_failures)
    return {
        "state": case(
            (cancel, literal(JobState.cancelled.value)),
            (Job.failures + 1 >= max_failures, literal(JobState.dead.value)),
            (pause, literal(JobState.paused.value)),
            else_=literal(JobState.queued.value),
        ),
        "failures": Job.failures + 1,
        "lease_expires_at": None,
        "worker": None,
        # 1, 2, 4, ... seconds, so that a crash that repeats does not spin; at most 256
        "available_at": now(literal(1).bitwise_lshift(case((Job.failures < 8, Job.failures), else_=8))),
        "dispatched_at": None,
        "finished_at": case((over, now()), else_=None),
    }


def release(session: Session, job_id: str, attempt: int, max_failures: int, error: JsonObject) -> Job | None:
    """Give back a job whose child crashed."""
    statement = (
        update(Job)
        .where(_held(job_id, attempt))
        .values(**_after_failure(max_failures), error=error)
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.execute(statement).scalar_one_or_none()


def hand_back(session: Session, job_id: str, attempt: int, *, hold: bool = False) -> Job | None:
    """Take a running job from its worker, which is no failure of the job: cancelled or paused if asked, else queued.

    With `hold` its child asks to be put aside.
    """
    cancel, pause = Job.cancel_requested_at.is_not(None), or_(Job.pause_requested_at.is_not(None), literal(hold))
    statement = (
        update(Job)
        .where(_held(job_id, attempt))
        .values(
            state=case(
                (cancel, literal(JobState.cancelled.value)),
                (pause, literal(JobState.paused.value)),
                else_=literal(JobState.queued.value),
            ),
            finished_at=case((cancel, now()), else_=None),
            worker=None,
            lease_expires_at=None,
            available_at=now(),
            dispatched_at=None,  # the next reconciler sends it: a wake-up from here could come back to this worker
        )
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.execute(statement).scalar_one_or_none()


def take_back_expired(session: Session, max_failures: int, error: JsonObject) -> Sequence[Job]:
    """Take back jobs whose lease is over."""
    expired = select(Job.id).where(Job.state == JobState.running, Job.lease_expires_at < now())
    statement = (
        update(Job)
        .where(Job.id.in_(_chosen(expired)), Job.state == JobState.running)
        .values(**_after_failure(max_failures), error=error)
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.execute(statement).scalars().all()


def end_leases_of(session: Session, worker: str) -> None:
    """End the leases of a worker that is known to be dead, so that the next reconciler takes its jobs back."""
    statement = update(Job).where(Job.worker == worker, Job.state == JobState.running).values(lease_expires_at=now(-1))
    session.execute(statement.execution_options(synchronize_session=False))


def take_undispatched(session: Session, republish_seconds: float) -> Sequence[tuple[str, str]]:
    """Mark due jobs whose wake-up was never sent, or sent long ago, as dispatched; returns their queues and ids.

    Where no worker takes the queue nothing is sent again: the messages would heap up, and a worker that starts looks.
    """
    listened = exists().where(Slots.queue == Job.queue, Slots.expires_at > now())
    waiting = select(Job.id).where(
        Job.state == JobState.queued,
        Job.available_at <= now(),
        or_(Job.dispatched_at.is_(None), and_(Job.dispatched_at < now(-republish_seconds), listened)),
    )
    statement = (
        update(Job)
        .where(Job.id.in_(_chosen(waiting)), Job.state == JobState.queued)
        .values(dispatched_at=now())
        .returning(Job.queue, Job.id)
        .execution_options(synchronize_session=False)
    )
    return [(queue, job_id) for queue, job_id in session.execute(statement)]


def request_cancel(session: Session, job_id: str, error: JsonObject | None = None) -> Job | None:
    """Cancel a queued or paused job at once; ask a running one to stop. None when it has ended already.

    `error` says why, of one that is cancelled at once.
    """
    idle = Job.state.in_((JobState.queued, JobState.paused))
    why = {} if error is None else {"error": case((idle, literal(error, Json)), else_=Job.error)}
    statement = (
        update(Job)
        .where(Job.id == job_id, or_(idle, Job.state == JobState.running))
        .values(
            state=case((idle, literal(JobState.cancelled.value)), else_=Job.state),
            finished_at=case((idle, now()), else_=None),
            cancel_requested_at=func.coalesce(Job.cancel_requested_at, now()),
            **why,
        )
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.execute(statement).scalar_one_or_none()


def request_pause(session: Session, job_id: str) -> Job | None:
    """Pause a queued job at once; ask a running one to stop. None when it is neither, or is being cancelled."""
    queued = Job.state == JobState.queued
    statement = (
        update(Job)
        .where(
            Job.id == job_id,
            Job.state.in_((JobState.queued, JobState.running)),
            Job.cancel_requested_at.is_(None),
        )
        .values(
            state=case((queued, literal(JobState.paused.value)), else_=Job.state),
            pause_requested_at=func.coalesce(Job.pause_requested_at, now()),
        )
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.execute(statement).scalar_one_or_none()


def resume(session: Session, job_id: str) -> Job | None:
    """Queue a paused job, due at once; None when it is not paused. Its caller publishes the wake-up."""
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.state == JobState.paused)
        .values(state=JobState.queued, pause_requested_at=None, available_at=now(), dispatched_at=now())
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.execute(statement).scalar_one_or_none()
