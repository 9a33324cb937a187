"""Stored comparisons, and the jobs that measure for them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.base import JsonObject
from service.kit.clock import Timestamp
from service.kit.database import Base, Json
from service.kit.labels import Labelled

PENDING = "pending"
"""Its jobs are under way; shown as their state."""


class Comparison(Labelled, Base):
    """One comparison; a terminal row never changes."""

    __tablename__ = "comparisons"
    __table_args__ = (Index("ix_comparisons_tenant_id", "tenant", "id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    request: Mapped[JsonObject] = mapped_column(Json)
    pool: Mapped[str] = mapped_column(String(64))
    fit_id: Mapped[str] = mapped_column(ForeignKey("fits.id"))
    members: Mapped[JsonObject] = mapped_column(Json)
    """`list`: each configuration with its names looked up, its family and its probe"""
    status: Mapped[str] = mapped_column(String(16))
    round: Mapped[int] = mapped_column(Integer)
    """jobs that were asked for together; the rounds of problems are counted by what these have measured"""
    answer: Mapped[JsonObject | None] = mapped_column(Json)
    error: Mapped[JsonObject | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    finished_at: Mapped[datetime | None] = mapped_column(Timestamp)


class ComparisonPart(Base):
    """One job of a comparison: what one model's child is to measure, and has measured."""

    __tablename__ = "comparison_parts"
    __table_args__ = (
        Index("ix_comparison_parts_comparison_id", "comparison_id"),
        UniqueConstraint("job_id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    comparison_id: Mapped[str] = mapped_column(ForeignKey("comparisons.id"))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    round: Mapped[int] = mapped_column(Integer)
    asked: Mapped[JsonObject] = mapped_column(Json)
    """`of`: a place whose model it loads; `plan`, `decides` and `second` of its child's configuration"""
    partial: Mapped[JsonObject | None] = mapped_column(Json)
    """the rounds so far"""
    result: Mapped[JsonObject | None] = mapped_column(Json)
