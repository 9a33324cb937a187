"""Stored external runs: reports of runs that other programs train."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.base import JsonObject
from service.kit.clock import Timestamp
from service.kit.database import Base, Json
from service.kit.labels import Labelled

RUNNING = "running"


class ExternalRun(Labelled, Base):
    """One run and its looks so far; a run that has ended never changes."""

    __tablename__ = "external_runs"
    __table_args__ = (
        UniqueConstraint("tenant", "external_id"),
        Index("ix_external_runs_tenant_id", "tenant", "id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str | None] = mapped_column(String(255))
    prediction_id: Mapped[str | None] = mapped_column(ForeignKey("predictions.id"))
    request: Mapped[JsonObject] = mapped_column(Json)
    model: Mapped[str] = mapped_column(String(255))
    task: Mapped[str] = mapped_column(String(255))
    steps: Mapped[int] = mapped_column(Integer)
    """of the whole run"""
    pool: Mapped[str] = mapped_column(String(64))
    """of its observation"""
    looks: Mapped[list[JsonObject]] = mapped_column(Json)
    """in order of step"""
    ruling: Mapped[JsonObject | None] = mapped_column(Json)
    """what the rule said after the newest look that it was asked about"""
    announced: Mapped[int | None] = mapped_column(Integer)
    """step of the first look at which it said to stop"""
    status: Mapped[str] = mapped_column(String(16))
    observation_id: Mapped[str | None] = mapped_column(ForeignKey("observations.id"))
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    finished_at: Mapped[datetime | None] = mapped_column(Timestamp)
