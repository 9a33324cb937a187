"""The SQL of recommendations."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject
from gapcast.contract.lists import RecommendationQuery
from service.comparisons.repository import of_model
from service.kit.clock import now
from service.kit.pagination import Filters, conditions, of_labels, select_page
from service.recommendations.models import EXECUTING, Recommendation

FILTERS: Filters = {
    **of_labels(Recommendation, Recommendation.id, Recommendation.task),
    "model": of_model(Recommendation.request),
    "task": Recommendation.task,
    "pool": Recommendation.pool,
    "status": Recommendation.status,
}


class Ref(NamedTuple):
    """Which one, and whose."""

    tenant: str
    id: str


def add(session: Session, values: dict[str, Any]) -> Recommendation:
    """Store one."""
    recommendation = Recommendation(created_at=now(), **values)
    session.add(recommendation)
    session.flush()
    return recommendation


def get(session: Session, tenant: str, recommendation_id: str, *, lock: bool = False) -> Recommendation | None:
    """Read one; `lock` holds its row until the transaction ends."""
    query = select(Recommendation).where(Recommendation.tenant == tenant, Recommendation.id == recommendation_id)
    if lock:
        query = query.with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def executing(session: Session) -> list[Ref]:
    """Those of all tenants whose steps are under way, oldest first."""
    query = select(Recommendation.tenant, Recommendation.id).where(Recommendation.status == EXECUTING)
    return [Ref(*row) for row in session.execute(query.order_by(Recommendation.id))]


def page(session: Session, tenant: str, wanted: RecommendationQuery) -> Sequence[Recommendation]:
    """Read one page, with one row more than its limit."""
    query = select(Recommendation).where(Recommendation.tenant == tenant, *conditions(wanted, FILTERS))
    return session.execute(select_page(query, Recommendation.id, wanted)).scalars().all()


def set_steps(session: Session, recommendation_id: str, steps: Sequence[JsonObject], begun: int) -> None:
    """Write how far one is; the caller holds its row."""
    _write(session, recommendation_id, {"steps": list(steps), "begun": begun})


def end(session: Session, recommendation_id: str, status: str, error: JsonObject | None) -> None:
    """End one; the caller holds its row."""
    _write(session, recommendation_id, {"status": status, "error": error, "finished_at": now()})


def _write(session: Session, recommendation_id: str, values: dict[str, Any]) -> None:
    statement = update(Recommendation).where(Recommendation.id == recommendation_id).values(**values)
    session.execute(statement.execution_options(synchronize_session=False))
