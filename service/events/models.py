"""What happened, in the order in which it happened."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.base import JsonObject
from service.kit.clock import Timestamp
from service.kit.database import Base, Json


class Event(Base):
    """One thing that happened to a subject: a job or what waits for it."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_subject_id_id", "subject_id", "id"),
        Index("ix_events_tenant_id", "tenant", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    subject_id: Mapped[str] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(64))
    data: Mapped[JsonObject] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
