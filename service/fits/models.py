"""Stored fits: immutable versions of the law over one pool."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.fits.summary import PoolSummary
from service.kit.clock import Timestamp
from service.kit.database import Base, Json, JsonOf
from service.law.record import Record


class Fit(Base):
    """One version of the law: its record says all that a prediction needs."""

    __tablename__ = "fits"
    __table_args__ = (
        UniqueConstraint("tenant", "pool", "fingerprint"),
        Index("ix_fits_tenant_pool_id", "tenant", "pool", "id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    pool: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64))
    changes: Mapped[int] = mapped_column(BigInteger)
    """the pool's change that it was made at: says which rows it was made of"""
    law_version: Mapped[int] = mapped_column(Integer)
    n: Mapped[int] = mapped_column(Integer)
    """observations"""
    summary: Mapped[PoolSummary | None] = mapped_column(JsonOf(PoolSummary))
    """what a prediction and a reader need of the rows beside the law"""
    # kilobytes, megabytes with thousands of families: read where it is asked for, not with every prediction
    record: Mapped[Record] = mapped_column(Json, deferred=True)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
