"""The SQL of uploaded tasks."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypedDict

from sqlalchemy import Row, Table, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from gapcast.contract.problems import TaskIn
from service.kit.clock import now
from service.kit.database import Base
from service.tasks.models import StoredProblem, StoredTask

FETCHED = 64
"""problems that are read from the database at once: few enough that even long ones take little memory"""

ProblemRow = Row[tuple[int, str, str, str]]
"""number, problem_id, split, body"""


READY = "ready"
ORDER = ((StoredTask.status == READY).desc(), StoredTask.uploaded_at.desc(), StoredTask.id.desc())
"""What a name means: the revision that was sent last of those that are ready, else the one that was sent last."""


_NEWEST = (
    select(StoredTask)
    .where(StoredTask.tenant == bindparam("tenant"), StoredTask.name == bindparam("name"))
    .order_by(*ORDER)
    .limit(1)
    .execution_options(populate_existing=True)
)


def newest(session: Session, tenant: str, name: str) -> StoredTask | None:
    """The revision that a name means; where none is ready, the newest of the others."""
    return session.execute(_NEWEST, {"tenant": tenant, "name": name}).scalar_one_or_none()


def newest_of_all(session: Session, tenant: str) -> Sequence[StoredTask]:
    """What each name means, by name."""
    place = func.row_number().over(partition_by=StoredTask.name, order_by=ORDER).label("place")
    placed = select(StoredTask, place).where(StoredTask.tenant == tenant).subquery()
    row = aliased(StoredTask, placed)
    return session.execute(select(row).where(placed.c.place == 1).order_by(placed.c.name)).scalars().all()


def revision(session: Session, tenant: str, name: str, wanted: str) -> StoredTask | None:
    """One revision of a name."""
    query = select(StoredTask).filter_by(tenant=tenant, name=name, revision=wanted)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


class NewProblem(TypedDict):
    """A problem that is not stored yet."""

    number: int
    split: str
    problem_id: str
    body: str
    """its canonical line"""


def add(session: Session, tenant: str, task: TaskIn, revision: str, **columns: Any) -> StoredTask:  # noqa: ANN401
    """Store a revision without its problems; returns the one that is there, under another id if it was there before.

    A second request with the same content waits here until the first has committed or rolled back.
    """
    dialect = session.get_bind().dialect.name
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(StoredTask).values(
        tenant=tenant, name=task.name, revision=revision, header=task, created_at=now(), uploaded_at=now(), **columns
    )
    session.execute(statement.on_conflict_do_nothing())
    query = select(StoredTask).filter_by(tenant=tenant, name=task.name, revision=revision).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def by_id(session: Session, task_id: str) -> StoredTask:
    """Read one revision of any tenant; for workers, which serve them all."""
    query = select(StoredTask).where(StoredTask.id == task_id)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def change(session: Session, task_id: str, **columns: Any) -> None:  # noqa: ANN401
    """Write how a revision's check stands."""
    statement = update(StoredTask).where(StoredTask.id == task_id).values(**columns)
    session.execute(statement.execution_options(synchronize_session=False))


def add_problems(session: Session, tenant: str, task_id: str, rows: Sequence[NewProblem]) -> None:
    """Store some problems of a revision."""
    session.execute(insert(Table("problems", Base.metadata)).values(tenant=tenant, task_id=task_id), list(rows))


def touch(session: Session, task_id: str) -> None:
    """Make a revision the newest of its name."""
    statement = update(StoredTask).where(StoredTask.id == task_id).values(uploaded_at=now())
    session.execute(statement.execution_options(synchronize_session=False))


def number_of(session: Session, task_id: str, problem_id: str) -> int | None:
    """Where a problem stands in its file."""
    query = select(StoredProblem.number).filter_by(task_id=task_id, problem_id=problem_id)
    return session.execute(query).scalar_one_or_none()


def problems(
    session: Session, task_id: str, *, split: str | None = None, after: int = 0, limit: int | None = None
) -> Iterable[ProblemRow]:
    """Problems in the file's order, read as they are asked for."""
    query = select(StoredProblem.number, StoredProblem.problem_id, StoredProblem.split, StoredProblem.body)
    query = query.where(StoredProblem.task_id == task_id, StoredProblem.number > after)
    if split is not None:
        query = query.where(StoredProblem.split == split)
    ordered = query.order_by(StoredProblem.number).limit(limit)
    rows: Iterator[ProblemRow] = iter(session.execute(ordered.execution_options(yield_per=FETCHED)))
    return rows
