"""The SQL of observations."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.kit.clock import now
from service.kit.ids import new_id
from service.kit.pagination import PageRequest, select_page
from service.observations.models import Observation


def fitted(session: Session, tenant: str, pool: str) -> Sequence[Observation]:
    """Every observation of a pool that counts in its fit, in the order of the ids."""
    query = select(Observation).where(
        Observation.tenant == tenant, Observation.pool == pool, Observation.excluded.is_(False)
    )
    return session.execute(query.order_by(Observation.id)).scalars().all()


def page(session: Session, tenant: str, pool: str | None, request: PageRequest) -> Sequence[Observation]:
    """One page, newest first unless asked otherwise, with one row more than its limit."""
    query = select(Observation).where(Observation.tenant == tenant)
    if pool is not None:
        query = query.where(Observation.pool == pool)
    return session.execute(select_page(query, Observation.id, request)).scalars().all()


def get(session: Session, tenant: str, observation_id: str) -> Observation | None:
    """Read one."""
    query = select(Observation).where(Observation.tenant == tenant, Observation.id == observation_id)
    return session.execute(query).scalar_one_or_none()


def known_external_ids(session: Session, tenant: str, pool: str) -> set[str]:
    """The external ids that a pool has already."""
    query = select(Observation.external_id).where(Observation.tenant == tenant, Observation.pool == pool)
    return {one for one in session.execute(query).scalars() if one is not None}


def add(session: Session, tenant: str, values: dict[str, Any]) -> None:
    """Store one observation."""
    session.add(Observation(id=new_id("obs"), tenant=tenant, created_at=now(), **values))
