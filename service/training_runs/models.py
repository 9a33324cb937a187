"""Stored training runs and their checkpoints."""

from datetime import datetime
from typing import NotRequired, TypedDict

from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.base import JsonObject
from service.kit.clock import Timestamp
from service.kit.database import Base, Json
from service.kit.labels import Labelled


class WatchedBy(TypedDict):
    """The law that forecasts a run while it goes on."""

    pool: str
    fit_id: NotRequired[str | None]
    """since its first attempt, and in all of them; null: the pool had none, and the published slopes speak"""


class Checkpoint(Base):
    """A checkpoint that one attempt of a job has published; the folder itself is on its worker's machine."""

    __tablename__ = "checkpoints"
    __table_args__ = (UniqueConstraint("job_id", "attempt", "step"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int] = mapped_column(Integer)
    step: Mapped[int] = mapped_column(Integer)
    path: Mapped[str] = mapped_column(Text)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(Timestamp)


class TrainingRun(Labelled, Base):
    """One OPSD run; its job says how far it is."""

    __tablename__ = "training_runs"
    __table_args__ = (
        UniqueConstraint("live_key"),
        Index("ix_training_runs_tenant_id", "tenant", "id"),
        Index("ix_training_runs_group_id", "group_id"),
        Index("ix_training_runs_prediction_id", "prediction_id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    group_id: Mapped[str | None] = mapped_column(String(64))
    """shared by runs that were asked for together"""
    prediction_id: Mapped[str | None] = mapped_column(ForeignKey("predictions.id"))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    live_key: Mapped[str | None] = mapped_column(String(64))
    """hash of tenant, pool and configuration; null once the run has ended without a result: then it may be repeated"""
    pool: Mapped[str] = mapped_column(String(64))
    family: Mapped[str] = mapped_column(String(255))
    parameters: Mapped[float | None] = mapped_column(Double)
    """the model's number of weights"""
    configuration: Mapped[JsonObject] = mapped_column(Json)
    predicted: Mapped[JsonObject | None] = mapped_column(Json)
    """what the prediction said, before the outcome was known"""
    checkpoint_id: Mapped[str | None] = mapped_column(ForeignKey("checkpoints.id"))
    """the newest"""
    partial: Mapped[JsonObject | None] = mapped_column(Json)
    """what is known of a run without a result"""
    result: Mapped[JsonObject | None] = mapped_column(Json)
    observation_id: Mapped[str | None] = mapped_column(ForeignKey("observations.id"))
    """of its end; of a run that a rule has stopped, of the estimate of its end"""
    held: Mapped[str | None] = mapped_column(String(16))
    """why it has put itself aside; null: it has not, or goes on again"""
    released: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """true once somebody has resumed it after that: it goes on to its end, whatever a rule says"""
    watched_by: Mapped[WatchedBy | None] = mapped_column(Json)
    """the law that it is forecast by; null: an older version has stored it, and it is not"""
    created_at: Mapped[datetime] = mapped_column(Timestamp)
