"""Stored observations: the pairs that the law is fitted to."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Double, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.kit.clock import Timestamp
from service.kit.database import Base, Json


class Observation(Base):
    """One (gap, improvement) pair; accuracies are shares in [0, 1], variances are their squares' units."""

    __tablename__ = "observations"
    __table_args__ = (
        UniqueConstraint("tenant", "pool", "external_id"),
        Index("ix_observations_tenant_pool_id", "tenant", "pool", "id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    pool: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str | None] = mapped_column(String(255))
    family: Mapped[str] = mapped_column(String(255))
    task: Mapped[str] = mapped_column(String(255))
    cell: Mapped[str | None] = mapped_column(String(600))
    model: Mapped[str] = mapped_column(String(255))
    context_kind: Mapped[str] = mapped_column(String(32))
    baseline: Mapped[float | None] = mapped_column(Double)
    gap: Mapped[float] = mapped_column(Double)
    gap_se: Mapped[float] = mapped_column(Double)
    improvement: Mapped[float] = mapped_column(Double)
    improvement_se: Mapped[float] = mapped_column(Double)
    cov: Mapped[float] = mapped_column(Double)
    collapsed: Mapped[bool] = mapped_column(Boolean)
    excluded: Mapped[bool] = mapped_column(Boolean)
    source: Mapped[str] = mapped_column(String(32))
    provenance: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
