"""Stored observations: the pairs that the law is fitted to, and the pools that they are fitted in.

A pool counts its changes: rows that are added together are one change, so is one that is excluded or taken back. A fit
names the change that it was made at, and the rows that it was made of can be read again for ever: those added until
then and not excluded then.
"""

from datetime import datetime
from typing import TypedDict

from sqlalchemy import BigInteger, Boolean, Double, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gapcast.contract.base import JsonObject
from gapcast.contract.observations import Notes, VarianceSource
from service.kit.clock import Timestamp
from service.kit.database import Base, Json
from service.kit.labels import Labelled


class HowMeasured(TypedDict):
    """How a difference was measured, and where its variance comes from."""

    problems: int | None
    rollouts: int | None
    variance: VarianceSource


Measurements = dict[str, HowMeasured]
"""Of `gap` and `improvement`."""


class Pool(Base):
    """A named set of observations that are fitted together.

    Its row is the outbox of refits: whoever changes the pool locks it and raises `changes` in the same transaction; a
    refit is due while `fitted_changes` is less. So refits are coalesced and none is lost. A change of a pool is one of
    every pool that borrows it.
    """

    __tablename__ = "pools"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    changes: Mapped[int] = mapped_column(BigInteger)
    observations: Mapped[int] = mapped_column(BigInteger)
    """stored rows, excluded ones too"""
    fit_id: Mapped[str | None] = mapped_column(ForeignKey("fits.id"))
    """the newest fit"""
    fitted_changes: Mapped[int] = mapped_column(BigInteger)
    """the change that `fit_id` was made at; -1: never fitted"""
    borrow: Mapped[list[str]] = mapped_column(Json, default=list, server_default="[]")
    """the pools whose families stand beside its own in its fits"""
    claimed_until: Mapped[datetime | None] = mapped_column(Timestamp)
    """until then one process is fitting it"""
    created_at: Mapped[datetime] = mapped_column(Timestamp)


class Observation(Labelled, Base):
    """One (gap, improvement) pair; accuracies are shares in [0, 1], variances are their squares' units."""

    __tablename__ = "observations"
    __table_args__ = (
        UniqueConstraint("tenant", "pool", "external_id"),
        Index("ix_observations_tenant_pool_id", "tenant", "pool", "id"),
        Index("ix_observations_tenant_pool_family_id", "tenant", "pool", "family", "id"),
        Index("ix_observations_tenant_pool_content", "tenant", "pool", "content"),
        Index("ix_observations_tenant_id", "tenant", "id"),
        Index("ix_observations_prediction_id", "prediction_id"),
        Index("ix_observations_tenant_task_context", "tenant", "task", "context"),
        Index("ix_observations_tenant_gap", "tenant", "gap"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    pool: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str | None] = mapped_column(String(255))
    family: Mapped[str] = mapped_column(String(255))
    task: Mapped[str] = mapped_column(String(255))
    cell: Mapped[str | None] = mapped_column(String(600))
    model: Mapped[str] = mapped_column(String(255))
    parameters: Mapped[float | None] = mapped_column(Double)
    """the model's number of weights"""
    context_kind: Mapped[str] = mapped_column(String(32))
    context: Mapped[str | None] = mapped_column(String(1024))
    """key of what the self-teacher was shown: runs with one key were shown the same"""
    gap_spread: Mapped[float | None] = mapped_column(Double)
    """variance over problems of the true gap"""
    version: Mapped[str | None] = mapped_column(String(255))
    """what may have changed under a family: rows of several versions are tested for drift"""
    baseline: Mapped[float | None] = mapped_column(Double)
    gap: Mapped[float] = mapped_column(Double)
    gap_se: Mapped[float] = mapped_column(Double)
    improvement: Mapped[float | None] = mapped_column(Double)
    """on the training problems; null: known on held-out ones alone"""
    improvement_se: Mapped[float | None] = mapped_column(Double)
    held_out_improvement: Mapped[float | None] = mapped_column(Double)
    held_out_se: Mapped[float | None] = mapped_column(Double)
    held_out_baseline: Mapped[float | None] = mapped_column(Double)
    cov: Mapped[float] = mapped_column(Double)
    measured: Mapped[Measurements | None] = mapped_column(Json)
    collapsed: Mapped[bool] = mapped_column(Boolean)
    steps: Mapped[int | None] = mapped_column(BigInteger)
    problems_per_step: Mapped[int | None] = mapped_column(BigInteger)
    schedule: Mapped[str | None] = mapped_column(String(16))
    """of the learning rate; null: constant"""
    learning_rate: Mapped[float | None] = mapped_column(Double)
    adaptation: Mapped[str | None] = mapped_column(String(8))
    """full or lora"""
    training_problems: Mapped[int | None] = mapped_column(BigInteger)
    thinking: Mapped[bool | None] = mapped_column(Boolean)
    """decoding mode of the improvements, and of the gap where `mode` does not say otherwise; null: not said"""
    mode: Mapped[str | None] = mapped_column(String(32))
    """all of them in one word (`gapcast.contract.measured.mode_of`), which names its cell; null: without thinking"""
    curve: Mapped[list[JsonObject] | None] = mapped_column(Json)
    """looks in order of step"""
    stopped_at: Mapped[int | None] = mapped_column(BigInteger)
    """the step that a rule stopped the run at: its improvement is an estimate of its end; null: it was let finish"""
    prediction_id: Mapped[str | None] = mapped_column(String(64))
    """the prediction whose outcome this is"""
    added_at: Mapped[int] = mapped_column(BigInteger)
    """the pool's change that brought it"""
    excluded: Mapped[bool] = mapped_column(Boolean)
    excluded_reason: Mapped[str | None] = mapped_column(String(1000))
    content: Mapped[str] = mapped_column(String(64))
    """hash of all that it says, to find equal rows"""
    source: Mapped[str] = mapped_column(String(32))
    provenance: Mapped[Notes] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Timestamp)


class Exclusion(Base):
    """From change `since` to before change `until` (null: still) an observation does not count in its pool's fits."""

    __tablename__ = "observation_exclusions"
    __table_args__ = (
        Index("ix_observation_exclusions_observation_id", "observation_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    observation_id: Mapped[str] = mapped_column(ForeignKey("observations.id"))
    since: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(1000))
    created_at: Mapped[datetime] = mapped_column(Timestamp)
