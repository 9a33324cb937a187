"""Stored predictions."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.base import JsonObject
from service.kit.clock import Timestamp
from service.kit.database import Base, Json
from service.kit.labels import Labelled

PENDING = "pending"
"""Waits for its probe's job; shown as that job's state."""


class Prediction(Labelled, Base):
    """One question and, once answered, its answer; a terminal row never changes."""

    __tablename__ = "predictions"
    __table_args__ = (Index("ix_predictions_tenant_id", "tenant", "id"), Index("ix_predictions_job_id", "job_id"))

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    request: Mapped[JsonObject] = mapped_column(Json)
    family: Mapped[str] = mapped_column(String(255))
    pool: Mapped[str] = mapped_column(String(64))
    probe_id: Mapped[str | None] = mapped_column(ForeignKey("probes.id"))
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    fit_id: Mapped[str | None] = mapped_column(ForeignKey("fits.id"))
    status: Mapped[str] = mapped_column(String(16))
    answer: Mapped[JsonObject | None] = mapped_column(Json)
    error: Mapped[JsonObject | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    finished_at: Mapped[datetime | None] = mapped_column(Timestamp)
