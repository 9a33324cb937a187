"""Stored rollouts of probes, bounded per probe and in all."""

from datetime import datetime

from sqlalchemy import Boolean, Double, ForeignKey, Index, Integer, String, false
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.samples import Sample
from service.kit.clock import Timestamp
from service.kit.database import Base, JsonOf


class SampleSet(Base):
    """The stored rollouts of one probe: how many there are, or that there are to be none."""

    __tablename__ = "sample_sets"
    __table_args__ = (Index("ix_sample_sets_tenant", "tenant"),)

    probe_id: Mapped[str] = mapped_column(ForeignKey("probes.id"), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    refused: Mapped[bool] = mapped_column(Boolean, server_default=false())
    """a request for this probe has said that nothing is stored"""
    evicted: Mapped[bool] = mapped_column(Boolean, server_default=false())
    """deleted because newer probes needed the room"""
    count: Mapped[int] = mapped_column(Integer, server_default="0")
    bytes: Mapped[int] = mapped_column(Integer, server_default="0")
    stored_at: Mapped[datetime] = mapped_column(Timestamp)


class StoredSample(Base):
    """One rollout; beside it what lists are filtered by."""

    __tablename__ = "samples"
    __table_args__ = (Index("ix_samples_probe_id_id", "probe_id", "id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    probe_id: Mapped[str] = mapped_column(ForeignKey("sample_sets.probe_id"))
    tenant: Mapped[str] = mapped_column(String(64))
    arm: Mapped[str] = mapped_column(String(32))
    problem_id: Mapped[str] = mapped_column(String(255))
    score: Mapped[float] = mapped_column(Double)
    flip: Mapped[str | None] = mapped_column(String(8))
    sample: Mapped[Sample] = mapped_column(JsonOf(Sample))


class SamplePolicy(Base):
    """A tenant's wish; a tenant without a row stores its rollouts."""

    __tablename__ = "sample_policies"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    store: Mapped[bool] = mapped_column(Boolean)
