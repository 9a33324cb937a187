"""Predictions."""

from typing import Any

from pydantic import Field

from gapcast.contract.predictions import LawUsed as Law
from gapcast.models.probes import Controls, Gap, ProbeFigures
from gapcast.models.shared import TERMINAL, Answered, Warned


class Interval(Answered):
    """A prediction interval."""

    level: float
    lower: float
    upper: float


class Branch(Answered):
    """What one side of an undecided link predicts alone."""

    link: str
    """`linear` or `saturating`"""
    weight: float
    """its probability"""
    value: float
    intervals: list[Interval]


class Improvement(Answered):
    """The predicted improvement; the value is None when the law refuses."""

    value: float | None
    intervals: list[Interval]
    p_positive: float | None
    p_collapse: float
    branches: list[Branch]
    """both sides, where the gap is outside the stored ones and neither is ruled out; else none"""


class Cost(Answered):
    """Seconds and GPU-hours; None where nothing is known."""

    probe_seconds: float | None
    probe_gpu_hours: float | None = None
    training_seconds_estimate: float | None


class Prediction(Answered):
    """A prediction; everything from `gap` to `cost` is None until it has succeeded."""

    id: str
    status: str
    progress: dict[str, Any] | None = None
    gap: Gap | None = None
    controls: Controls | None = None
    improvement: Improvement | None = None
    law: Law | None = None
    verdict: str | None = None
    warnings: list[Warned] = Field(default_factory=list)
    cost: Cost | None = None
    probe: ProbeFigures | None = None
    """the probe's further figures; None too where the gap was measured elsewhere"""
    error: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether it will never change again."""
        return self.status in TERMINAL
