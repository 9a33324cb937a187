"""The SQL of fits, and of which pools are due for one."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gapcast.contract.lists import FitQuery
from service.fits.laws import VERSION
from service.fits.models import Fit
from service.fits.summary import PoolSummary
from service.kit.clock import now
from service.kit.ids import new_id
from service.kit.pagination import Filters, begins, conditions, select_page
from service.law.record import Record
from service.observations.models import Pool

FILTERS: Filters = {"id_prefix": begins(Fit.id), "pool": Fit.pool}


def get(session: Session, tenant: str, fit_id: str) -> Fit | None:
    """Read one."""
    return session.execute(select(Fit).where(Fit.tenant == tenant, Fit.id == fit_id)).scalar_one_or_none()


def page(session: Session, tenant: str, wanted: FitQuery) -> Sequence[Fit]:
    """One page, newest first unless asked otherwise, with one row more than its limit."""
    query = select(Fit).where(Fit.tenant == tenant, *conditions(wanted, FILTERS))
    return session.execute(select_page(query, Fit.id, wanted)).scalars().all()


def newest_before(session: Session, tenant: str, pool: str, time: datetime) -> Fit | None:
    """Read the newest fit of a pool that was stored before a time."""
    query = select(Fit).where(Fit.tenant == tenant, Fit.pool == pool, Fit.created_at < time)
    return session.execute(query.order_by(Fit.id.desc()).limit(1)).scalar_one_or_none()


class Draft(NamedTuple):
    """A fit that is not stored yet."""

    fingerprint: str
    n: int
    record: Record
    summary: PoolSummary


def add(session: Session, tenant: str, pool: str, changes: int, made: Draft) -> tuple[Fit, bool]:
    """Store a fit, or return the one of the same rows that is there already; and whether it is new."""
    dialect = session.get_bind().dialect.name
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(Fit)
    fit_id = new_id("fit")
    values = insert.values(
        id=fit_id,
        tenant=tenant,
        pool=pool,
        changes=changes,
        law_version=VERSION,
        **made._asdict(),
        created_at=now(),
    )
    session.execute(values.on_conflict_do_nothing())
    query = select(Fit).where(Fit.tenant == tenant, Fit.pool == pool, Fit.fingerprint == made.fingerprint)
    fit = session.execute(query).scalar_one()
    return fit, fit.id == fit_id


def claim_due(session: Session, seconds: float) -> Pool | None:
    """Take a pool that has changed since its last fit, so that no other process fits it at the same time."""
    due = select(Pool.tenant, Pool.name).where(
        Pool.changes > Pool.fitted_changes, or_(Pool.claimed_until.is_(None), Pool.claimed_until < now())
    )
    # any of them: a pool that changes all the time keeps none of the others waiting
    first = (
        due.order_by(func.random()).limit(1).with_for_update(skip_locked=True).cte("due").prefix_with("MATERIALIZED")
    )
    statement = (
        update(Pool)
        .where(tuple_(Pool.tenant, Pool.name).in_(select(first.c.tenant, first.c.name)))
        .values(claimed_until=now(seconds))
        .returning(Pool)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.execute(statement).scalar_one_or_none()


def mark_outdated(session: Session) -> None:
    """Make every pool due whose newest fit was made by another version of the law."""
    outdated = update(Pool).where(Pool.fit_id.in_(select(Fit.id).where(Fit.law_version != VERSION)))
    session.execute(outdated.values(fitted_changes=-1).execution_options(synchronize_session=False))


def end_claim(session: Session, tenant: str, pool: str) -> None:
    """Let the next refitter take a pool whose fit came to nothing."""
    statement = update(Pool).where(Pool.tenant == tenant, Pool.name == pool).values(claimed_until=None)
    session.execute(statement.execution_options(synchronize_session=False))


def point_at(session: Session, tenant: str, pool: str, fit_id: str, changes: int) -> bool:
    """Make a fit the pool's newest and end the claim; False when one of a later change is there already."""
    statement = (
        update(Pool)
        .where(Pool.tenant == tenant, Pool.name == pool, Pool.fitted_changes < changes)
        .values(fit_id=fit_id, fitted_changes=changes, claimed_until=None)
        .returning(Pool.name)
        .execution_options(synchronize_session=False)
    )
    return session.execute(statement).one_or_none() is not None
