"""The SQL of probes."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.kit.clock import now
from service.probes.models import Probe


def find(session: Session, tenant: str, key: str) -> Probe | None:
    """The probe with this content address."""
    query = select(Probe).where(Probe.tenant == tenant, Probe.key == key)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def get(session: Session, tenant: str, probe_id: str) -> Probe | None:
    """Read one."""
    query = select(Probe).where(Probe.tenant == tenant, Probe.id == probe_id)
    return session.execute(query).scalar_one_or_none()


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


def store_result(session: Session, probe_id: str, result: dict[str, Any]) -> None:
    """Write what was measured; a probe has one result for ever."""
    statement = (
        update(Probe)
        .where(Probe.id == probe_id, Probe.result.is_(None))
        .values(result=result, finished_at=now())
        .execution_options(synchronize_session=False)
    )
    session.execute(statement)
