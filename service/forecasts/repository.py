"""The SQL of forecasts: the curves of finished runs."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from service.observations.models import Observation
from service.observations.repository import FITTED, AnyRow, observed_at

MOST_RUNS = 1000
"""of a cell, the newest: each costs a millisecond once a fit, and hundreds leave no doubt about a cell's curve"""

CURVE = (
    *(
        Observation.cell,
        Observation.content,
        Observation.curve,
        Observation.steps,
        Observation.improvement,
        Observation.improvement_se,
    ),
    *(Observation.learning_rate, Observation.adaptation, Observation.training_problems),
    *(Observation.mode, Observation.schedule),
)


def curves(
    session: Session, tenant: str, pool: str, changes: int, cell: str, least: float, most: float
) -> Sequence[AnyRow]:
    """The runs of a cell that counted in a pool's fit and came to their end, of so many steps, the newest first."""
    query = select(*CURVE).where(
        observed_at(tenant, pool, changes),
        Observation.cell == cell,
        Observation.steps.between(least, most),
        Observation.curve.is_not(None),
        Observation.stopped_at.is_(None),
        Observation.improvement.is_not(None),
        ~Observation.collapsed,
    )
    return session.execute(query.order_by(Observation.id.desc()).limit(MOST_RUNS)).all()


def ended(session: Session, tenant: str, pool: str, changes: int, most: int) -> Sequence[AnyRow]:
    """The runs with curves of every cell that counted in a pool's fit and came to their end, the newest first."""
    query = select(*FITTED, Observation.content).where(_ended(tenant, pool, changes))
    return session.execute(query.order_by(Observation.id.desc()).limit(most)).all()


def count_ended(session: Session, tenant: str, pool: str, changes: int, above: float) -> int:
    """How many of those gained more than `above`."""
    good = and_(_ended(tenant, pool, changes), Observation.improvement > above)
    return session.execute(select(func.count()).where(good)).scalar_one()


def newest(session: Session, tenant: str, pool: str, changes: int, most: int) -> Sequence[AnyRow]:
    """The newest rows that counted in a pool's fit, in the order of their ids."""
    query = select(*FITTED).where(observed_at(tenant, pool, changes)).order_by(Observation.id.desc()).limit(most)
    return session.execute(query).all()[::-1]


def _ended(tenant: str, pool: str, changes: int) -> ColumnElement[bool]:
    return and_(
        observed_at(tenant, pool, changes),
        Observation.curve.is_not(None),
        Observation.cell.is_not(None),
        Observation.steps.is_not(None),
        Observation.baseline.is_not(None),
        Observation.improvement.is_not(None),
        Observation.stopped_at.is_(None),
        ~Observation.collapsed,
    )
