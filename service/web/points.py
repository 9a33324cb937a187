"""What the page draws and tabulates, read from the store; accuracies in [0, 1]."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from service.law import Key
from service.law.diagnostics import OUTLIER_WEIGHT
from service.web.recipes import FamilyRecipe


@dataclass(frozen=True, kw_only=True)
class ObservationPoint:
    """One (gap, improvement) pair with its standard errors."""

    id: str
    name: str
    """people's own name of the run; its model where they gave none"""
    gap: float
    gap_se: float
    improvement: float
    improvement_se: float
    model: str
    parameters: float | None = None
    """the model's number of weights"""
    context: str
    family: str
    key: Key
    recipe: str
    """its own, in words"""
    excluded: bool = False
    reason: str | None = None
    """why it is excluded"""
    collapsed: bool = False
    """stored as collapsed: no fit needs to find that out"""
    weight: float | None = None
    """the fit's probability that the run follows the law; unknown where the pool is too large to ask"""

    @property
    def law(self) -> FamilyRecipe:
        """The law that it is a run of."""
        return FamilyRecipe(self.family, self.key)

    @property
    def mark(self) -> Literal["excluded", "outlier", ""]:
        """Why it is drawn apart from the others."""
        if self.excluded:
            return "excluded"
        return "outlier" if self.collapsed or (self.weight is not None and self.weight < OUTLIER_WEIGHT) else ""

    @property
    def note(self) -> str:
        """Whether it counts in the fit, in words."""
        if self.excluded:
            return f"no, excluded: {self.reason}" if self.reason else "no, excluded"
        if self.collapsed:
            return "no, stored as collapsed"
        if self.mark == "outlier" and self.weight is not None:
            return "outlier, weight < 0.01" if self.weight < 0.01 else f"outlier, weight {self.weight:.2f}"
        return "yes"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A family's law over a grid of gaps: equally long sequences of accuracies."""

    law: FamilyRecipe
    baseline: float
    """student accuracy that it is drawn for"""
    typical: float
    """median student accuracy of the runs that it was learnt from; 0 where one is unknown"""
    linear_weight: float
    """probability that it is straight and does not saturate"""
    pool: Key
    """the recipes whose runs it rests on"""
    runs: Mapping[str, int]
    """those runs by family, those stored as collapsed left out"""
    gaps: Sequence[float]
    mean: Sequence[float]
    confidence_lower: Sequence[float]
    confidence_upper: Sequence[float]
    prediction_lower: Sequence[float]
    prediction_upper: Sequence[float]
    level: float


@dataclass(frozen=True, kw_only=True)
class BranchPoint:
    """What one side of an undecided law predicts alone, with its widest interval."""

    link: Literal["linear", "saturating"]
    weight: float
    value: float
    level: float
    lower: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class PredictionPoint:
    """A prediction: the measured gap and, unless it was refused, the improvement with its intervals."""

    gap: float
    gap_se: float
    mean: float | None
    intervals: Sequence[tuple[float, float, float]]
    """(level, lower, upper) each; drawn thicker the narrower they are."""
    label: str
    branches: Sequence[BranchPoint] = ()
    """both sides, where the law's shape is undecided and the gap lies outside the stored ones"""


@dataclass(frozen=True, kw_only=True)
class FitVersion:
    """Which version of the law is drawn."""

    id: str
    n: int
    """observations that it was made of"""
    laws: Mapping[FamilyRecipe, int]
    """observations of each law, those stored as collapsed left out"""
    behind: int
    """changes of the pool that it does not know yet"""
    drift: Mapping[str, Mapping[str, int]] | None
    """families that look like several, each with its observations by version; null where nothing was tested"""
    diagnosed: bool
    """whether outliers are known"""


@dataclass(frozen=True, kw_only=True)
class ChartData:
    """What the plot shows and the page says of it."""

    observations: Sequence[ObservationPoint] = ()
    curve: Curve | None = None
    prediction: PredictionPoint | None = None
    fit: FitVersion | None = None


@dataclass(frozen=True, kw_only=True)
class OutcomePoint:
    """A prediction that has met its outcome: predicted mean and 95 % interval, measured improvement."""

    prediction_id: str
    at: str
    """when the outcome came, RFC 3339"""
    predicted: float
    lower: float
    upper: float
    outcome: float
    inside: bool
    """whether the interval held the outcome"""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One evaluation of the student while it was trained, on the training problems."""

    step: int
    accuracy: float
    improvement: float
    improvement_se: float
    held_out: float | None
    """improvement on the held-out problems"""


@dataclass(frozen=True, kw_only=True)
class RunCurve:
    """What is known of a training run's way; nothing of it before the baseline is measured."""

    steps: int
    """of the whole run"""
    baseline: float | None = None
    self_teacher: float | None = None
    """accuracy with the context, before training"""
    looks: Sequence[Look] = ()
    held_out_baseline: float | None = None
    """known at the end"""
    predicted: float | None = None
    """improvement at the last step; null where nothing was predicted"""
    intervals: Sequence[tuple[float, float, float]] = ()
    """(level, lower, upper) of the predicted improvement"""
    fan: Sequence[tuple[float, float, float]] = ()
    """(level, lower, upper) of the improvement that is expected at the last step now, while the run goes on"""
    losses: Sequence[tuple[int, float]] = ()
    """(step, nats per token) of the steps that had a loss"""
