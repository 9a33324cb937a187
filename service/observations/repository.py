"""The SQL of observations and their pools."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Table, and_, column, exists, insert, or_, select, table, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gapcast.contract.lists import ObservationFilters, ObservationQuery
from gapcast.contract.observations import Notes
from service.catalog.service import BORROWED
from service.kit.clock import now
from service.kit.database import Base
from service.kit.pagination import Filters, conditions, of_labels, select_page
from service.observations.measuring import Values
from service.observations.models import Exclusion, Observation, Pool

_predictions = table("predictions", column("id"), column("tenant"), column("answer"))
"""named and not imported: predictions are made from observations, so their room lies above this one"""
CHUNK = 5_000
"""values in one IN (...): databases take some ten thousand parameters"""


FILTERS: Filters = {
    **{name: getattr(Observation, name) for name in ObservationFilters.model_fields if hasattr(Observation, name)},
    **of_labels(
        *(Observation, Observation.id),
        *(Observation.model, Observation.task, Observation.family, Observation.external_id),
    ),
}

SORTS = {"improvement": Observation.improvement, "gap": Observation.gap}


def pool(session: Session, tenant: str, name: str) -> Pool | None:
    """Read a pool as it is now."""
    query = select(Pool).where(Pool.tenant == tenant, Pool.name == name)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def pools(session: Session, tenant: str) -> Sequence[Pool]:
    """The pools of a tenant, by name."""
    return session.execute(select(Pool).where(Pool.tenant == tenant).order_by(Pool.name)).scalars().all()


def lock_pool(session: Session, tenant: str, name: str) -> Pool:
    """Hold a pool's row until the transaction ends; it is made where there is none.

    All that changes a pool waits here, so changes commit in the order of their numbers.
    """
    dialect = session.get_bind().dialect.name
    made = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(Pool).values(
        tenant=tenant,
        name=name,
        changes=0,
        observations=0,
        borrow=BORROWED.get(name, []),
        fitted_changes=-1,
        created_at=now(),
    )
    session.execute(made.on_conflict_do_nothing())
    query = select(Pool).where(Pool.tenant == tenant, Pool.name == name).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def lock_pools(session: Session, tenant: str, names: Iterable[str]) -> dict[str, Pool]:
    """Hold pools, and those that borrow them, until the transaction ends.

    In one order, so that two transactions never wait for each other.
    """
    asked = set(names)
    every = session.execute(select(Pool.name, Pool.borrow).where(Pool.tenant == tenant))
    borrowers = {name for name, borrow in every if asked & set(borrow)}
    return {name: lock_pool(session, tenant, name) for name in sorted(asked | borrowers)}


def count_change(locked: Mapping[str, Pool], name: str) -> int:
    """Raise the changes of a pool, and of those that borrow it; its number is returned."""
    for pool in locked.values():
        if pool.name == name or name in pool.borrow:
            pool.changes += 1
    return locked[name].changes


AnyRow = Row[*tuple[Any, ...]]

FITTED = (
    *(Observation.id, Observation.family, Observation.cell, Observation.model, Observation.parameters),
    *(Observation.context_kind, Observation.version, Observation.baseline, Observation.gap, Observation.gap_se),
    *(Observation.improvement, Observation.improvement_se, Observation.cov, Observation.collapsed),
    *(Observation.context, Observation.gap_spread),
    *(Observation.held_out_improvement, Observation.held_out_se, Observation.held_out_baseline),
    *(Observation.steps, Observation.problems_per_step, Observation.schedule, Observation.curve),
    *(Observation.learning_rate, Observation.adaptation, Observation.training_problems, Observation.mode),
)
"""What a fit and its diagnostics read of a row."""


def observed_at(tenant: str, name: str, changes: int) -> ColumnElement[bool]:
    """The condition that a row counted in a pool's fit at its change number `changes`."""
    out = exists().where(
        Exclusion.observation_id == Observation.id,
        Exclusion.since <= changes,
        or_(Exclusion.until.is_(None), Exclusion.until > changes),
    )
    return and_(Observation.tenant == tenant, Observation.pool == name, Observation.added_at <= changes, ~out)


def fitted(session: Session, tenant: str, name: str, changes: int) -> Sequence[AnyRow]:
    """The rows that counted in a pool's fit at its change number `changes`, in the order of their ids."""
    query = select(*FITTED).where(observed_at(tenant, name, changes))
    return session.execute(query.order_by(Observation.id)).all()


def costs(session: Session, tenant: str, name: str, changes: int) -> Sequence[tuple[str, Notes]]:
    """Model and provenance of the newest rows of a fit; some of them tell what their run cost."""
    query = select(Observation.model, Observation.provenance).where(observed_at(tenant, name, changes))
    rows = session.execute(query.order_by(Observation.id.desc()).limit(CHUNK))
    return [(model, provenance) for model, provenance in rows]


def page(session: Session, tenant: str, wanted: ObservationQuery) -> Sequence[Observation]:
    """One page, newest first unless asked otherwise, with one row more than its limit."""
    query = select(Observation).where(Observation.tenant == tenant, *conditions(wanted, FILTERS))
    return session.execute(select_page(query, Observation.id, wanted, SORTS)).scalars().all()


def newest(session: Session, tenant: str, name: str, limit: int, changes: int | None = None) -> Sequence[Observation]:
    """The newest rows of a pool, the oldest of them first; `changes`: none that was added later."""
    query = select(Observation).where(Observation.tenant == tenant, Observation.pool == name)
    if changes is not None:
        query = query.where(Observation.added_at <= changes)
    rows = session.execute(query.order_by(Observation.id.desc()).limit(limit)).scalars().all()
    return rows[::-1]


def excluded_at(session: Session, tenant: str, ids: Sequence[str], changes: int) -> dict[str, str]:
    """The reasons of those of these rows that were excluded at a change of their pool."""
    held = or_(Exclusion.until.is_(None), Exclusion.until > changes)
    found: dict[str, str] = {}
    for chunk in _chunks(ids):
        query = select(Exclusion.observation_id, Exclusion.reason).where(
            Exclusion.tenant == tenant, Exclusion.observation_id.in_(chunk), Exclusion.since <= changes, held
        )
        found.update((row_id, reason) for row_id, reason in session.execute(query))
    return found


def after(
    session: Session, tenant: str, wanted: ObservationFilters, changes: int | None, last: str, limit: int
) -> Sequence[Observation]:
    """The next rows after an id, for reading all of them; `changes`: none that was added later."""
    query = select(Observation).where(Observation.tenant == tenant, Observation.id > last, *conditions(wanted, FILTERS))
    if changes is not None:
        query = query.where(Observation.added_at <= changes)
    return session.execute(query.order_by(Observation.id).limit(limit)).scalars().all()


def get(session: Session, tenant: str, observation_id: str) -> Observation | None:
    """Read one."""
    query = select(Observation).where(Observation.tenant == tenant, Observation.id == observation_id)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


def named(session: Session, tenant: str, name: str, names: Iterable[str]) -> dict[str, Observation]:
    """Rows of a pool by external id, or by their own id: an exported row without one is named by it."""
    found: dict[str, Observation] = {}
    for chunk in _chunks(names):
        query = select(Observation).where(Observation.tenant == tenant, Observation.pool == name)
        which = or_(Observation.external_id.in_(chunk), Observation.external_id.is_(None) & Observation.id.in_(chunk))
        for row in session.execute(query.where(which)).scalars():
            found[row.external_id or row.id] = row
    return found


class RunName(NamedTuple):
    """What people call a run."""

    external_id: str | None = None
    name: str | None = None


def run_names(session: Session, tenant: str, ids: Sequence[str]) -> dict[str, RunName]:
    """People's own names of these rows."""
    query = select(Observation.id, Observation.external_id, Observation.name)
    found = session.execute(query.where(Observation.tenant == tenant, Observation.id.in_(ids)))
    return {row.id: RunName(row.external_id, row.name) for row in found}


def known_contents(session: Session, tenant: str, name: str, contents: Iterable[str]) -> dict[str, str]:
    """Ids of the rows of a pool by their content, of those that say one of these."""
    found: dict[str, str] = {}
    for chunk in _chunks(contents):
        query = select(Observation.content, Observation.id).where(
            Observation.tenant == tenant, Observation.pool == name, Observation.content.in_(chunk)
        )
        found.update((content, row_id) for content, row_id in session.execute(query))
    return found


def known_predictions(session: Session, tenant: str, ids: Iterable[str]) -> set[str]:
    """Those of these ids that are answered predictions."""
    found: set[str] = set()
    for chunk in _chunks(ids):
        is_ours = _predictions.c.tenant == tenant, _predictions.c.id.in_(chunk), _predictions.c.answer.is_not(None)
        query = select(_predictions.c.id).where(*is_ours)
        found.update(session.execute(query).scalars())
    return found


def add(session: Session, tenant: str, rows: Mapping[str, Values], added_at: int) -> None:
    """Store rows by their ids, and the exclusion of those that come excluded."""
    if not rows:
        return
    session.execute(
        insert(Table("observations", Base.metadata)).values(tenant=tenant, added_at=added_at, created_at=now()),
        [{"id": row_id, **row._asdict()} for row_id, row in rows.items()],
    )
    out = [
        {"observation_id": row_id, "since": added_at, "reason": row.excluded_reason}
        for row_id, row in rows.items()
        if row.excluded
    ]
    if out:
        session.execute(
            insert(Table("observation_exclusions", Base.metadata)).values(tenant=tenant, created_at=now()), out
        )


def exclude(session: Session, row: Observation, since: int, reason: str) -> None:
    """Leave a row out of fits from a change on."""
    session.add(
        Exclusion(tenant=row.tenant, observation_id=row.id, since=since, until=None, reason=reason, created_at=now())
    )
    row.excluded, row.excluded_reason = True, reason


def take_back(session: Session, row: Observation, until: int) -> None:
    """Let a row count again from a change on."""
    open_ones = update(Exclusion).where(Exclusion.observation_id == row.id, Exclusion.until.is_(None))
    session.execute(open_ones.values(until=until).execution_options(synchronize_session=False))
    row.excluded, row.excluded_reason = False, None
