"""The SQL of the slots that workers have: a worker's signs of life."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gapcast.contract.needs import Offer
from service.kit.clock import now
from service.slots.models import Slots

SIGN = 10.0
"""seconds between two signs of life of a worker"""
GONE = 30.0
"""seconds without one after which a worker counts as gone: two signs may be late or lost"""


def sign(session: Session, worker: str, queues: Iterable[str], slots: int, offer: Offer) -> None:
    """Write that a worker lives, its slots for each of these queues and its offer; forget the workers that are gone."""
    session.execute(delete(Slots).where(Slots.expires_at < now()).execution_options(synchronize_session=False))
    dialect = session.get_bind().dialect.name
    for queue in queues:
        statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(Slots).values(
            worker=worker, queue=queue, slots=slots, offer=offer, expires_at=now(GONE)
        )
        written = {"slots": slots, "offer": offer, "expires_at": now(GONE)}
        session.execute(statement.on_conflict_do_update(index_elements=[Slots.worker, Slots.queue], set_=written))


def forget(session: Session, worker: str) -> None:
    """Forget a worker that stops or has died."""
    gone = or_(Slots.worker == worker, Slots.expires_at < now())
    session.execute(delete(Slots).where(gone).execution_options(synchronize_session=False))


def alive(session: Session) -> list[tuple[Slots, datetime]]:
    """Read the slots of the workers that are not gone, by worker and queue, and the moment of the look."""
    query = select(Slots, now()).where(Slots.expires_at > now()).order_by(Slots.worker, Slots.queue)
    return [(row, at) for row, at in session.execute(query)]
