"""The SQL of stored rollouts."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gapcast.contract.lists import SampleFilters, SampleQuery
from service.kit.clock import now
from service.kit.pagination import Filters, conditions, select_page
from service.samples.models import SamplePolicy, SampleSet, StoredSample

FILTERS: Filters = {
    "arm": StoredSample.arm,
    "flip": StoredSample.flip,
    "min_score": lambda score: StoredSample.score >= score,
    "max_score": lambda score: StoredSample.score <= score,
    "problem_id": StoredSample.problem_id,
}
UNSYNCHRONIZED = {"synchronize_session": False}


class Stored(NamedTuple):
    """How much is stored for a tenant."""

    probes: int
    bytes: int


def _insert(session: Session, table: Any) -> Any:  # noqa: ANN401
    return (postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert)(table)


def find(session: Session, probe_id: str) -> SampleSet | None:
    """Read how much of a probe is stored."""
    query = select(SampleSet).where(SampleSet.probe_id == probe_id)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def hold(session: Session, tenant: str, probe_id: str) -> SampleSet:
    """Lock a probe's set, which is made where there is none: what is stored and what is refused do not cross."""
    made = _insert(session, SampleSet).values(probe_id=probe_id, tenant=tenant, stored_at=now())
    session.execute(made.on_conflict_do_nothing())
    query = select(SampleSet).where(SampleSet.probe_id == probe_id).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def change(session: Session, probe_ids: Sequence[str], **values: Any) -> None:  # noqa: ANN401
    """Write something of the sets of these probes."""
    written = update(SampleSet).where(SampleSet.probe_id.in_(probe_ids)).values(**values)
    session.execute(written.execution_options(**UNSYNCHRONIZED))


def write_size(session: Session, probe_id: str, count: int, size: int) -> None:
    """Write how much of a probe is stored as of now."""
    change(session, [probe_id], count=count, bytes=size, evicted=False, stored_at=now())


def add_all(session: Session, rows: Iterable[StoredSample]) -> None:
    """Store rollouts."""
    session.add_all(rows)
    session.flush()


def delete_of(session: Session, probe_ids: Sequence[str]) -> None:
    """Delete the rollouts of these probes; the caller holds their sets."""
    gone = delete(StoredSample).where(StoredSample.probe_id.in_(probe_ids))
    session.execute(gone.execution_options(**UNSYNCHRONIZED))


def delete_all(session: Session, tenant: str) -> None:
    """Delete the rollouts of a tenant."""
    held = select(SampleSet.probe_id).where(SampleSet.tenant == tenant).order_by(SampleSet.probe_id).with_for_update()
    session.execute(held).all()
    session.execute(delete(StoredSample).where(StoredSample.tenant == tenant).execution_options(**UNSYNCHRONIZED))
    emptied = update(SampleSet).where(SampleSet.tenant == tenant).values(count=0, bytes=0)
    session.execute(emptied.execution_options(**UNSYNCHRONIZED))


def total(session: Session) -> int:
    """Bytes of all stored rollouts."""
    return session.execute(select(func.coalesce(func.sum(SampleSet.bytes), 0))).scalar_one()


def oldest(session: Session, without: str) -> Sequence[SampleSet]:
    """Lock the sets that hold something, oldest first, but for one probe's; those that others hold are left out."""
    query = select(SampleSet).where(SampleSet.bytes > 0, SampleSet.probe_id != without)
    query = query.order_by(SampleSet.stored_at, SampleSet.probe_id).with_for_update(skip_locked=True)
    return session.execute(query.execution_options(populate_existing=True)).scalars().all()


def stored(session: Session, tenant: str) -> Stored:
    """Count what a tenant has."""
    query = select(func.count(), func.coalesce(func.sum(SampleSet.bytes), 0))
    row = session.execute(query.where(SampleSet.tenant == tenant, SampleSet.bytes > 0)).one()
    return Stored(row[0], row[1])


def page(session: Session, probe_id: str, wanted: SampleQuery) -> Sequence[StoredSample]:
    """Read one page of a probe's rollouts, with one row more than its limit."""
    query = select(StoredSample).where(StoredSample.probe_id == probe_id, *conditions(wanted, FILTERS))
    return session.execute(select_page(query, StoredSample.id, wanted)).scalars().all()


def every(session: Session, probe_id: str, wanted: SampleFilters) -> Sequence[StoredSample]:
    """Read all of a probe's rollouts that match: a probe has few."""
    query = select(StoredSample).where(StoredSample.probe_id == probe_id, *conditions(wanted, FILTERS))
    return session.execute(query.order_by(StoredSample.id)).scalars().all()


def stores(session: Session, tenant: str) -> bool:
    """True if a tenant's rollouts are stored."""
    found = session.execute(select(SamplePolicy.store).where(SamplePolicy.tenant == tenant)).scalar_one_or_none()
    return found is not False


def set_policy(session: Session, tenant: str, store: bool) -> None:
    """Write a tenant's wish."""
    made = _insert(session, SamplePolicy).values(tenant=tenant, store=store)
    session.execute(made.on_conflict_do_update(index_elements=[SamplePolicy.tenant], set_={"store": store}))
