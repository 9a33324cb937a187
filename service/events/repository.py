"""Appending events and reading them on.

Events of one job are written by whoever holds its row, so their ids grow in the order of their commits and a reader
that resumes after an id misses none.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject
from gapcast.contract.events import EventData
from service.events.models import Event
from service.kit.clock import now


class Written(NamedTuple):
    """An event's id, and whom it is for."""

    id: int
    tenant: str
    subject_id: str


def add(session: Session, tenant: str, subject_id: str, event: EventData, kind: str = "") -> None:
    """Append one event; `kind` is its type where the data alone do not say it."""
    write(session, tenant, subject_id, kind or event.type, event.written())


_INSERT = insert(Event).values(created_at=now())


def add_all(session: Session, tenant: str, told: Iterable[tuple[str, str, EventData]]) -> None:
    """Append events in one statement, in this order: the subject, the type and the data of each."""
    rows = [
        {"tenant": tenant, "subject_id": subject_id, "type": kind, "data": event.written()}
        for subject_id, kind, event in told
    ]
    if rows:
        session.connection().execute(_INSERT, rows)


def write(session: Session, tenant: str, subject_id: str, kind: str, data: JsonObject) -> None:
    """Append one event that a child has told, which is JSON already."""
    session.add(Event(tenant=tenant, subject_id=subject_id, type=kind, data=data, created_at=now()))


def after(
    session: Session,
    tenant: str,
    subjects: Sequence[str] | None,
    last_id: int,
    limit: int,
    kind: str | None = None,
) -> Sequence[Event]:
    """Read at most `limit` events of the subjects (null: of all) that follow `last_id`, oldest first."""
    query = select(Event).where(Event.tenant == tenant, Event.id > last_id)
    if subjects is not None:
        query = query.where(Event.subject_id.in_(subjects))
    if kind is not None:
        query = query.where(Event.type == kind)
    return session.execute(query.order_by(Event.id).limit(limit)).scalars().all()


def newest(session: Session, tenant: str, subject_id: str, kinds: Iterable[str]) -> Event | None:
    """Read the newest event of a subject that is of one of these types."""
    query = select(Event).where(Event.tenant == tenant, Event.subject_id == subject_id, Event.type.in_(kinds))
    return session.execute(query.order_by(Event.id.desc()).limit(1)).scalar_one_or_none()


def newest_id(session: Session) -> int:
    """Read the highest id of all events; 0 before the first one."""
    return session.execute(select(func.coalesce(func.max(Event.id), 0))).scalar_one()


def written_after(session: Session, last_id: int) -> list[Written]:
    """Read whom the events after an id are for, of all tenants."""
    rows = session.execute(select(Event.id, Event.tenant, Event.subject_id).where(Event.id > last_id))
    return [Written(*row) for row in rows]
