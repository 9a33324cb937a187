"""The SQL of external runs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gapcast.contract.lists import ExternalRunQuery
from service.external_runs.models import RUNNING, ExternalRun
from service.kit.clock import now
from service.kit.pagination import Filters, conditions, of_labels, select_page

FILTERS: Filters = {
    **of_labels(ExternalRun, ExternalRun.id, ExternalRun.model, ExternalRun.task, ExternalRun.external_id),
    "external_id": ExternalRun.external_id,
    "model": ExternalRun.model,
    "task": ExternalRun.task,
    "pool": ExternalRun.pool,
    "status": ExternalRun.status,
    "prediction_id": ExternalRun.prediction_id,
}


def add(session: Session, values: dict[str, Any]) -> bool:
    """Store one; False if the tenant has a run of this external_id.

    A run that another transaction is about to store is waited for.
    """
    dialect = session.get_bind().dialect.name
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(ExternalRun)
    statement = statement.on_conflict_do_nothing(index_elements=[ExternalRun.tenant, ExternalRun.external_id])
    made = session.execute(
        statement.values(created_at=now(), status=RUNNING, looks=[], **values).returning(ExternalRun.id)
    )
    return made.one_or_none() is not None


def get(session: Session, tenant: str, run_id: str, *, lock: bool = False) -> ExternalRun | None:
    """Read one; `lock` holds its row until the transaction ends."""
    return _one(session, lock, ExternalRun.tenant == tenant, ExternalRun.id == run_id)


def named(session: Session, tenant: str, external_id: str) -> ExternalRun | None:
    """Read the one with this name of the user's."""
    return _one(session, False, ExternalRun.tenant == tenant, ExternalRun.external_id == external_id)


def _one(session: Session, lock: bool, *which: Any) -> ExternalRun | None:  # noqa: ANN401
    query = select(ExternalRun).where(*which)
    if lock:
        query = query.with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def page(session: Session, tenant: str, wanted: ExternalRunQuery) -> Sequence[ExternalRun]:
    """Read one page, with one row more than its limit."""
    query = select(ExternalRun).where(ExternalRun.tenant == tenant, *conditions(wanted, FILTERS))
    return session.execute(select_page(query, ExternalRun.id, wanted)).scalars().all()


def write(session: Session, run_id: str, **values: Any) -> None:  # noqa: ANN401
    """Change one; the caller holds its row."""
    statement = update(ExternalRun).where(ExternalRun.id == run_id).values(**values)
    session.execute(statement.execution_options(synchronize_session=False))


def end(session: Session, run_id: str, status: str, observation_id: str | None = None) -> None:
    """End one; the caller holds its row."""
    write(session, run_id, status=status, observation_id=observation_id, finished_at=now())


def remove(session: Session, run_id: str) -> None:
    """Remove one; the caller holds its row."""
    session.execute(delete(ExternalRun).where(ExternalRun.id == run_id))
