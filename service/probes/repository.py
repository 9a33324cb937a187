"""The SQL of probes."""

from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from service.jobs.models import Job
from service.kit.clock import now
from service.kit.pagination import PageRequest, select_page
from service.probes.models import Probe


def find(session: Session, tenant: str, key: str) -> Probe | None:
    """The probe with this content address."""
    query = select(Probe).where(Probe.tenant == tenant, Probe.key == key)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def _with_job(tenant: str) -> Select[Probe, Job]:
    return select(Probe, Job).join(Job, Job.id == Probe.job_id).where(Probe.tenant == tenant)


def get(session: Session, tenant: str, probe_id: str) -> tuple[Probe, Job] | None:
    """Read one with its job."""
    query = _with_job(tenant).where(Probe.id == probe_id)
    row = session.execute(query.execution_options(populate_existing=True)).one_or_none()
    return None if row is None else (row[0], row[1])


def page(session: Session, tenant: str, request: PageRequest) -> list[tuple[Probe, Job]]:
    """Read one page, with one row more than its limit."""
    return [(row[0], row[1]) for row in session.execute(select_page(_with_job(tenant), Probe.id, request))]


def by_id(session: Session, probe_id: str) -> Probe:
    """Read one of any tenant; for workers, which serve them all."""
    return session.execute(select(Probe).where(Probe.id == probe_id)).scalar_one()


def add(session: Session, values: dict[str, Any]) -> Probe:
    """Store one that has no result yet."""
    probe = Probe(created_at=now(), **values)
    session.add(probe)
    session.flush()
    return probe


def hand_over(session: Session, probe_id: str, old_job: str, new_job: str) -> bool:
    """Give a probe a new job in place of one that ended without a result; False when somebody else did so first."""
    statement = (
        update(Probe)
        .where(Probe.id == probe_id, Probe.job_id == old_job, Probe.result.is_(None))
        .values(job_id=new_job)
        .returning(Probe.id)
        .execution_options(synchronize_session=False)
    )
    return session.execute(statement).one_or_none() is not None


def want(session: Session, probe_id: str) -> None:
    """Note that a probe was asked for by itself: it goes on when the last prediction that waits for it is cancelled."""
    statement = update(Probe).where(Probe.id == probe_id, Probe.wanted.is_(False)).values(wanted=True)
    session.execute(statement.execution_options(synchronize_session=False))


def store_partial(session: Session, probe_id: str, partial: dict[str, Any]) -> None:
    """Write what is known so far of a probe that has no result yet; the caller holds its job."""
    _write(session, probe_id, {"partial": partial})


def store_result(session: Session, probe_id: str, result: dict[str, Any]) -> None:
    """Write what was measured; a probe has one result for ever."""
    _write(session, probe_id, {"result": result, "partial": None, "finished_at": now()})


def _write(session: Session, probe_id: str, values: dict[str, Any]) -> None:
    statement = (
        update(Probe)
        .where(Probe.id == probe_id, Probe.result.is_(None))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    session.execute(statement)
