"""The SQL of forecasts: the curves of finished runs."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.observations.models import Observation
from service.observations.repository import AnyRow, observed_at

MOST_RUNS = 1000
"""of a cell, the newest: each costs a millisecond once a fit, and hundreds leave no doubt about a cell's curve"""

CURVE = (
    *(Observation.content, Observation.curve, Observation.steps, Observation.improvement, Observation.improvement_se),
    *(Observation.learning_rate, Observation.adaptation, Observation.training_problems),
    *(Observation.mode, Observation.schedule),
)


def curves(
    session: Session, tenant: str, pool: str, changes: int, cell: str, least: float, most: float
) -> Sequence[AnyRow]:
    """The runs of a cell that counted in a pool's fit and did not collapse, of so many steps, the newest first."""
    query = select(*CURVE).where(
        observed_at(tenant, pool, changes),
        Observation.cell == cell,
        Observation.steps.between(least, most),
        Observation.curve.is_not(None),
        Observation.improvement.is_not(None),
        ~Observation.collapsed,
    )
    return session.execute(query.order_by(Observation.id.desc()).limit(MOST_RUNS)).all()
