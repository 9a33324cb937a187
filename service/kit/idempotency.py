"""`Idempotency-Key`: the same key with the same body answers with what the first one made."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from fastapi import Header
from sqlalchemy import String, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from service.kit.clock import Timestamp, now
from service.kit.database import Base, Json
from service.kit.errors import IdempotencyMismatch

Answered = dict[str, Any]
"""The JSON of an answer that is kept, to be given again."""

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


class Idempotency(NamedTuple):
    """A key and the hash of the body that it came with."""

    key: str
    body_hash: str


class IdempotencyRow(Base):
    """One key, unique per tenant, and the id of what it made."""

    __tablename__ = "idempotency_keys"
    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_hash: Mapped[str] = mapped_column(String(64))
    subject_id: Mapped[str] = mapped_column(String(64))
    response: Mapped[Answered | None] = mapped_column(Json)
    """the answer, where the subject's id alone does not say it"""
    created_at: Mapped[datetime] = mapped_column(Timestamp)


def body_hash(path: str, body: str) -> str:
    """What makes two requests the same: the path and the validated body."""
    return hashlib.sha256(f"{path}\n{body}".encode()).hexdigest()


_CLAIM = {
    dialect: insert(IdempotencyRow).values(created_at=now()).on_conflict_do_nothing().returning(IdempotencyRow.key)
    for dialect, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


def claim_key(session: Session, tenant: str, key: str, hashed: str, subject_id: str) -> str:
    """Take the key for `subject_id`, in the transaction that creates it, or return the id that has it already.

    A second request with the key waits on the row's lock until the first one has committed or rolled back.

    Raises:
        IdempotencyMismatch: the key was used with another body.
    """
    connection = session.connection()
    values = {"tenant": tenant, "key": key, "body_hash": hashed, "subject_id": subject_id}
    is_new = connection.execute(_CLAIM[connection.dialect.name], values).one_or_none()
    row = find_key(session, tenant, key, hashed) if is_new is None else None
    return subject_id if row is None else row.subject_id


def keep_subject(session: Session, tenant: str, key: str, subject_id: str) -> None:
    """Say what a key stands for that this transaction has claimed before it knew."""
    statement = update(IdempotencyRow).filter_by(tenant=tenant, key=key).values(subject_id=subject_id)
    session.execute(statement.execution_options(synchronize_session=False))


def find_key(session: Session, tenant: str, key: str, hashed: str) -> IdempotencyRow | None:
    """Read a key that was claimed.

    Raises:
        IdempotencyMismatch: it was used with another body.
    """
    row = session.execute(select(IdempotencyRow).filter_by(tenant=tenant, key=key)).scalar_one_or_none()
    if row is not None:
        require_same(row, hashed)
    return row


def require_same(row: IdempotencyRow, hashed: str) -> None:
    """Compare a body with the one that a key was used with.

    Raises:
        IdempotencyMismatch: it is another one.
    """
    if row.body_hash != hashed:
        raise IdempotencyMismatch(param="Idempotency-Key")


def was_used(session: Session, tenant: str, idempotency: Idempotency | None) -> bool:
    """True if a key was claimed before: nothing needs to be looked up for its request.

    Raises:
        IdempotencyMismatch: it was used with another body.
    """
    return idempotency is not None and find_key(session, tenant, *idempotency) is not None


def answered_before(session: Session, tenant: str, key: str, hashed: str) -> Answered:
    """Return the answer that is kept with a key which was claimed before.

    Raises:
        IdempotencyMismatch: it was used with another body.
        RuntimeError: no answer is kept.
    """
    row = find_key(session, tenant, key, hashed)
    if row is None or row.response is None:
        raise RuntimeError(f"the first request with the key {key!r} has committed without its answer")
    return row.response


def remember(session: Session, tenant: str, key: str, response: Answered) -> None:
    """Keep the answer with a key that this transaction has claimed."""
    statement = update(IdempotencyRow).filter_by(tenant=tenant, key=key).values(response=response)
    session.execute(statement.execution_options(synchronize_session=False))
