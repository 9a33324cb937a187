"""The SQL of fits."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.fits.models import Fit
from service.kit.clock import now
from service.kit.ids import new_id


def get(session: Session, tenant: str, fit_id: str) -> Fit | None:
    """Read one."""
    return session.execute(select(Fit).where(Fit.tenant == tenant, Fit.id == fit_id)).scalar_one_or_none()


def by_fingerprint(session: Session, tenant: str, pool: str, fingerprint: str) -> Fit | None:
    """The fit of exactly these observations by exactly this law, if there is one."""
    query = select(Fit).where(Fit.tenant == tenant, Fit.pool == pool, Fit.fingerprint == fingerprint)
    return session.execute(query).scalar_one_or_none()


def add(session: Session, tenant: str, pool: str, fingerprint: str, n: int, record: dict[str, Any]) -> Fit:
    """Store a fit, or return the one that another process stored first."""
    dialect = session.get_bind().dialect.name
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(Fit)
    values = insert.values(
        id=new_id("fit"), tenant=tenant, pool=pool, fingerprint=fingerprint, n=n, record=record, created_at=now()
    )
    session.execute(values.on_conflict_do_nothing())
    return session.execute(
        select(Fit).where(Fit.tenant == tenant, Fit.pool == pool, Fit.fingerprint == fingerprint)
    ).scalar_one()
