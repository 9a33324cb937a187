"""Stored tasks: what users bring, one row a revision, and its problems as canonical lines."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.base import JsonObject
from gapcast.contract.problems import TaskIn
from service.kit.clock import Timestamp
from service.kit.database import Base, Json, JsonOf


class StoredTask(Base):
    """One revision of a task; its content never changes, but for the time at which it was last sent, and its check."""

    __tablename__ = "tasks"
    __table_args__ = (UniqueConstraint("tenant", "name", "revision"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    revision: Mapped[str] = mapped_column(String(80))
    header: Mapped[TaskIn] = mapped_column(JsonOf(TaskIn))
    train_problems: Mapped[int] = mapped_column(Integer)
    held_out_problems: Mapped[int] = mapped_column(Integer)
    hint_levels: Mapped[int] = mapped_column(Integer)
    """the most hints that a training problem has"""
    with_hints: Mapped[int] = mapped_column(Integer)
    """training problems that have any; likewise below"""
    with_reference_solution: Mapped[int] = mapped_column(Integer)
    with_privileged_context: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(BigInteger)
    """of all canonical lines"""
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    uploaded_at: Mapped[datetime] = mapped_column(Timestamp)
    """when this content was last sent: the newest is what the name means, also when it is an older one sent again"""
    status: Mapped[str] = mapped_column(String(16))
    """`gapcast.contract.catalog.TaskStatus`"""
    accepted: Mapped[bool] = mapped_column(Boolean)
    check_job_id: Mapped[str | None] = mapped_column(String(64))
    self_check: Mapped[JsonObject | None] = mapped_column(Json)
    """`gapcast.contract.catalog.SelfCheck`"""
    error: Mapped[JsonObject | None] = mapped_column(Json)
    """why the newest check has no result"""


class StoredProblem(Base):
    """One problem of a revision."""

    __tablename__ = "problems"
    __table_args__ = (UniqueConstraint("task_id", "problem_id"),)

    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    """from 1, in the file's order"""
    tenant: Mapped[str] = mapped_column(String(64))
    split: Mapped[str] = mapped_column(String(16))
    problem_id: Mapped[str] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
    """`gapcast.contract.problems.canonical`"""
