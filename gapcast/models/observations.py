"""Past runs."""

from typing import Any

from gapcast.models.shared import Answered, Estimate, Warned


class Measured(Estimate):
    """A measured difference and where its standard error comes from: `given`, `counts` or `assumed`."""

    problems: int | None = None
    rollouts: int | None = None
    variance: str = "given"


class Observation(Answered):
    """One past run: its gap before training and the improvement that came of it."""

    id: str
    pool: str
    external_id: str | None
    family: str
    task: str
    cell: str | None
    model: str
    parameters: float | None
    context_kind: str
    context: dict[str, Any] | None
    recipe: dict[str, Any] | None
    version: str | None
    baseline: float | None
    gap: Measured
    improvement: Measured
    cov: float
    collapsed: bool
    prediction_id: str | None
    excluded: bool
    excluded_reason: str | None
    source: str
    provenance: dict[str, Any]
    created_at: str


class RowWarned(Warned):
    """A warning about rows that were stored nevertheless; the first 20 of them, counted from 1."""

    rows: list[int]


class Batch(Answered):
    """What became of rows that were sent together."""

    created: int
    existing: int
    ids: list[str]
    pools: list[str]
    """the pools that have changed; their laws are being refitted"""
    variance: dict[str, dict[str, int]]
    """for gap and improvement: rows by where their standard errors come from"""
    warnings: list[RowWarned]
