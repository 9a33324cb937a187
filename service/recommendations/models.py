"""Stored recommendations."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.base import JsonObject
from service.kit.clock import Timestamp
from service.kit.database import Base, Json
from service.kit.labels import Labelled

EXECUTING = "running"


class Recommendation(Labelled, Base):
    """One plan, and how far it is executed; a terminal row never changes."""

    __tablename__ = "recommendations"
    __table_args__ = (
        Index("ix_recommendations_tenant_id", "tenant", "id"),
        Index("ix_recommendations_status", "status"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    request: Mapped[JsonObject] = mapped_column(Json)
    task: Mapped[str] = mapped_column(String(255))
    pool: Mapped[str] = mapped_column(String(64))
    fit_id: Mapped[str] = mapped_column(ForeignKey("fits.id"))
    advice: Mapped[JsonObject] = mapped_column(Json)
    """the plan as it was made, and what it was compared with"""
    steps: Mapped[list[JsonObject]] = mapped_column(Json)
    """its steps, as far as they have come"""
    begun: Mapped[int] = mapped_column(Integer)
    """steps that were started; whoever starts the next one raises it"""
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[JsonObject | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    finished_at: Mapped[datetime | None] = mapped_column(Timestamp)
