"""What the API answers, as typed objects; fields that a newer server adds are kept."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

TERMINAL = frozenset({"succeeded", "failed", "cancelled", "dead"})


class Answered(BaseModel):
    """An object of the API."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Estimate(Answered):
    """A difference of accuracies as a share (0.1 = 10 accuracy points) and its standard error."""

    value: float
    se: float


class Gap(Estimate):
    """Self-teacher accuracy minus student accuracy."""

    student: float
    self_teacher: float
    problems: int | None = None
    rollouts: int | None = None


class Leak(Answered):
    """How much of the gap may be copying; shares."""

    copied: float
    contains_answer: float


class Controls(Answered):
    """What keeps a gap from being an artefact."""

    none: Estimate | None = None
    placebo: Estimate | None = None
    leak: Leak | None = None


class Interval(Answered):
    """A prediction interval."""

    level: float
    lower: float
    upper: float


class Improvement(Answered):
    """The predicted improvement; the value is None when the law refuses."""

    value: float | None
    intervals: list[Interval]
    p_positive: float | None
    p_collapse: float


class Law(Answered):
    """The fit behind a prediction, with 95 % confidence intervals."""

    fit_id: str
    family: str
    slope: float
    slope_interval: tuple[float, float]
    intercept: float
    n: int
    status: str


class Warned(Answered):
    """Something to know before trusting the number."""

    code: str
    message: str


class Cost(Answered):
    """Seconds; None where nothing is known."""

    probe_seconds: float | None
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
    error: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether it will never change again."""
        return self.status in TERMINAL


class Event(Answered):
    """One thing that happened to a prediction."""

    id: str
    type: str
    data: dict[str, Any]
    created_at: str
