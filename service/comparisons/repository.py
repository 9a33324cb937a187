"""The SQL of comparisons and of the jobs that measure for them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from gapcast.contract.base import JsonObject
from gapcast.contract.lists import ComparisonQuery
from gapcast.contract.varying import MOST
from service.comparisons.models import PENDING, Comparison, ComparisonPart
from service.jobs.models import Job, JobState
from service.kit.clock import now
from service.kit.pagination import Condition, Filters, conditions, holds, of_labels, select_page

LIVE = (JobState.queued, JobState.running)


class Part(NamedTuple):
    """A part and its job."""

    row: ComparisonPart
    job: Job


def of_model(request: InstrumentedAttribute[Any]) -> Condition:
    """Make the filter of requests with a search space of which a configuration names this model."""
    listed = (request["configurations"][place]["model"] for place in range(MOST))
    models = [holds(one) for one in (request["base"]["model"], request["vary"]["model"], *listed)]
    return lambda name: or_(*(names(name) for names in models))


def _status() -> Any:  # noqa: ANN401
    """A pending comparison runs once one of its jobs has begun."""
    begun = (
        select(ComparisonPart.id)
        .join(Job, Job.id == ComparisonPart.job_id)
        .where(ComparisonPart.comparison_id == Comparison.id, or_(Job.attempt > 0, Job.state != JobState.queued))
        .exists()
    )
    return case((Comparison.status != PENDING, Comparison.status), (begun, "running"), else_="queued")


TASK = Comparison.members["list"][0]["request"]["task"].as_string()

FILTERS: Filters = {
    **of_labels(Comparison, Comparison.id, TASK),
    "model": of_model(Comparison.request),
    "task": TASK,
    "pool": Comparison.pool,
    "status": _status(),
}


def add(session: Session, values: dict[str, Any]) -> Comparison:
    """Store one."""
    comparison = Comparison(created_at=now(), **values)
    session.add(comparison)
    session.flush()
    return comparison


def add_part(session: Session, values: dict[str, Any]) -> ComparisonPart:
    """Store one job's share."""
    part = ComparisonPart(**values)
    session.add(part)
    session.flush()
    return part


def get(session: Session, tenant: str, comparison_id: str) -> Comparison | None:
    """Read one."""
    query = select(Comparison).where(Comparison.tenant == tenant, Comparison.id == comparison_id)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def locked(session: Session, comparison_id: str) -> Comparison:
    """Read one of any tenant, and hold its row until the transaction ends."""
    query = select(Comparison).where(Comparison.id == comparison_id).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def by_id(session: Session, comparison_id: str) -> Comparison:
    """Read one of any tenant; for workers, which serve them all."""
    return session.execute(select(Comparison).where(Comparison.id == comparison_id)).scalar_one()


def part_of(session: Session, job_id: str) -> ComparisonPart:
    """Read the part that a job measures."""
    query = select(ComparisonPart).where(ComparisonPart.job_id == job_id)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def parts(session: Session, comparison_ids: Sequence[str]) -> list[Part]:
    """Read the parts of comparisons with their jobs, oldest first."""
    query = (
        select(ComparisonPart, Job)
        .join(Job, Job.id == ComparisonPart.job_id)
        .where(ComparisonPart.comparison_id.in_(comparison_ids))
        .order_by(ComparisonPart.id)
    )
    rows = session.execute(query.execution_options(populate_existing=True))
    return [Part(row[0], row[1]) for row in rows]


class ComparisonState(NamedTuple):
    """How far a comparison is, and its jobs."""

    job_ids: list[str]
    ended: bool


def state(session: Session, tenant: str, comparison_id: str) -> ComparisonState | None:
    """Read how far one is, but nothing that it has measured: this is asked several times a second."""
    query = (
        select(Comparison.status, ComparisonPart.job_id)
        .outerjoin(ComparisonPart, ComparisonPart.comparison_id == Comparison.id)
        .where(Comparison.tenant == tenant, Comparison.id == comparison_id)
        .order_by(ComparisonPart.id)
    )
    rows = session.execute(query).all()
    if not rows:
        return None
    return ComparisonState([row[1] for row in rows if row[1] is not None], rows[0][0] != PENDING)


def page(session: Session, tenant: str, wanted: ComparisonQuery) -> Sequence[Comparison]:
    """Read one page, with one row more than its limit."""
    query = select(Comparison).where(Comparison.tenant == tenant, *conditions(wanted, FILTERS))
    return session.execute(select_page(query, Comparison.id, wanted)).scalars().all()


def set_round(session: Session, comparison_id: str, number: int) -> None:
    """Note that further jobs were asked for."""
    statement = update(Comparison).where(Comparison.id == comparison_id).values(round=number)
    session.execute(statement.execution_options(synchronize_session=False))


def end(session: Session, comparison_id: str, values: dict[str, Any]) -> bool:
    """End a pending comparison; False when it has ended already."""
    statement = (
        update(Comparison)
        .where(Comparison.id == comparison_id, Comparison.status == PENDING)
        .values(finished_at=now(), **values)
        .returning(Comparison.id)
        .execution_options(synchronize_session=False)
    )
    return session.execute(statement).one_or_none() is not None


def store_partial(session: Session, job_id: str, partial: JsonObject) -> None:
    """Write what is known so far of a part; the caller holds its job."""
    _write(session, job_id, {"partial": partial})


def store_result(session: Session, job_id: str, result: JsonObject) -> None:
    """Write what a part has measured and decided."""
    _write(session, job_id, {"result": result, "partial": None})


def _write(session: Session, job_id: str, values: dict[str, Any]) -> None:
    statement = update(ComparisonPart).where(ComparisonPart.job_id == job_id, ComparisonPart.result.is_(None))
    session.execute(statement.values(**values).execution_options(synchronize_session=False))


def count_live(session: Session, comparison_id: str, but: str) -> int:
    """How many jobs of a comparison have not ended, one of them aside."""
    query = (
        select(func.count())
        .select_from(ComparisonPart)
        .join(Job, Job.id == ComparisonPart.job_id)
        .where(ComparisonPart.comparison_id == comparison_id, Job.id != but, Job.state.in_(LIVE))
    )
    return session.execute(query).scalar_one()
