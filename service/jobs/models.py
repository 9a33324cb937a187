"""The jobs table: the truth about what is to be done, by whom, and how it ended."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.base import JsonObject
from service.kit.clock import Timestamp
from service.kit.database import Base, Json


class JobState(StrEnum):
    """Where a job is; docs/jobs.md draws the transitions."""

    queued = "queued"
    """Waits for a worker; `available_at` says from when."""
    running = "running"
    """One worker holds the lease."""
    paused = "paused"
    """Put aside by its user, for as long as they like; it has no worker and no lease."""
    succeeded = "succeeded"
    failed = "failed"
    """Ended with an error that another attempt would meet again."""
    cancelled = "cancelled"
    dead = "dead"
    """Crashed, or lost its worker, more often than the budget allows."""

    @property
    def is_terminal(self) -> bool:
        """Whether the row never changes again."""
        return self not in {JobState.queued, JobState.running, JobState.paused}


class Job(Base):
    """One piece of work for a worker."""

    __tablename__ = "jobs"
    __table_args__ = (
        # the reconciler's two searches: what is due, and whose lease is over
        Index("ix_jobs_state_available_at", "state", "available_at"),
        Index("ix_jobs_state_lease_expires_at", "state", "lease_expires_at"),
        Index("ix_jobs_tenant_state", "tenant", "state"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    queue: Mapped[str] = mapped_column(String(16))
    needs: Mapped[str] = mapped_column(Text)
    """the text of its `JobNeeds`"""
    subject_id: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    failures: Mapped[int] = mapped_column(Integer)
    worker: Mapped[str | None] = mapped_column(String(255))
    lease_expires_at: Mapped[datetime | None] = mapped_column(Timestamp)
    available_at: Mapped[datetime] = mapped_column(Timestamp)
    dispatched_at: Mapped[datetime | None] = mapped_column(Timestamp)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(Timestamp)
    pause_requested_at: Mapped[datetime | None] = mapped_column(Timestamp)
    """null again once it is resumed"""
    progress: Mapped[JsonObject | None] = mapped_column(Json)
    error: Mapped[JsonObject | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    started_at: Mapped[datetime | None] = mapped_column(Timestamp)
    finished_at: Mapped[datetime | None] = mapped_column(Timestamp)
