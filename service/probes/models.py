"""Stored probes, addressed by their content."""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.base import JsonObject
from service.kit.clock import Timestamp
from service.kit.database import Base, Json
from service.kit.labels import Labelled


class Probe(Labelled, Base):
    """One measurement of a gap: asked for (no result yet) or done."""

    __tablename__ = "probes"
    __table_args__ = (UniqueConstraint("tenant", "key"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(64))
    configuration: Mapped[JsonObject] = mapped_column(Json)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    result: Mapped[JsonObject | None] = mapped_column(Json)
    partial: Mapped[JsonObject | None] = mapped_column(Json)
    """what had been measured when the last job ended without a result"""
    wanted: Mapped[bool] = mapped_column(Boolean, server_default=false())
    """asked for by itself, and not only by predictions"""
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    finished_at: Mapped[datetime | None] = mapped_column(Timestamp)
