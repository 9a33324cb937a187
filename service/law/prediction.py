"""What comes out: predicted improvements, and what is to be said with them (docs: LAW, "What it says")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.law.contexts import Known
from service.law.keys import Key
from service.law.mixture import NormalMixture
from service.law.observations import BoolArray, FloatArray


class Status(StrEnum):
    """How much the law knows of a family."""

    PRIOR_ONLY = "prior_only"
    """Nothing is stored: the published slopes speak."""
    COLD = "cold"
    """No point of this family: the others speak."""
    SPARSE = "sparse"
    """Fewer than 3 points: no claim about the slope."""
    FITTED = "fitted"
    """3 points or more."""


class Code(StrEnum):
    """Why a prediction comes with a caution."""

    PRIOR_ONLY = "prior_only"
    COLD = "cold"
    SPARSE = "sparse"
    EXTRAPOLATION = "extrapolation"
    CURVATURE = "curvature"
    REFUSED = "refused"
    BASELINE_MISSING = "baseline_missing"
    SMALL_GAP = "small_gap"
    LINK_UNDECIDED = "link_undecided"
    NEW_CONTEXT = "new_context"
    FEW_CONTEXTS = "few_contexts"
    UNLIKE_CONTEXT = "unlike_context"
    NO_SPREAD = "no_spread"


class Kind(StrEnum):
    """The two sides of an undecided link."""

    LINEAR = "linear"
    SATURATING = "saturating"


@dataclass(frozen=True)
class Caution:
    """One thing to know about one prediction.

    Attributes:
        code: for machines. message: for people.
        probe: flat index of the probe that it is about; 0 for a scalar probe.
        numbers: the accuracies in the message, by name, as shares.
    """

    code: Code
    message: str
    probe: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)


class Estimate(NamedTuple):
    """A coefficient's posterior mean and its confidence bounds."""

    mean: float
    lower: float
    upper: float


class Line(NamedTuple):
    """A family's curve over P gaps with its confidence bounds: arrays of shape (P,)."""

    mean: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True)
class Coefficients:
    """A family's curve in numbers with 95 % confidence intervals.

    Attributes:
        slope: at gap 0; what it is depends on the link, and ``depends_on_link`` says that none has over .95.
        intercept: the improvement at gap 0.
        improvement: at a gap of .15, without a run's own residual: what families and links can be compared by.
        links: probability of each link.
        warnings: cautions about these numbers.
        family, cell: whose they are; of the family as a whole where there is no cell.
    """

    slope: Estimate
    intercept: Estimate
    improvement: Estimate
    links: Mapping[str, float]
    depends_on_link: bool
    warnings: tuple[Caution, ...]
    family: str
    cell: str | None


class ContextEffect(NamedTuple):
    """How far a context's runs end from the line, with 95 % confidence bounds.

    In improvement where the link is straight; where a bent one saturates, its runs show less of it.

    Attributes:
        key: the pool that says so. family, cell: of the runs. context: its key.
        model: of a configuration, ``None`` for the context as a whole.
        n: runs, those known as collapsed left out.
        effect: the estimate.
    """

    key: Key
    family: str
    cell: str | None
    context: str
    model: str | None
    n: int
    effect: Estimate


class CarryOver(NamedTuple):
    """Whether a gap's spread over the problems changes what comes of it.

    Attributes:
        p_any: probability that it does (s > 0).
        ratio: b2/b1, median and 95 % confidence bounds: what a unit of dilution is worth, in gap.
    """

    p_any: float
    ratio: Estimate


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted improvements. A refused one is NaN in everything but ``p_collapse``; ``warnings`` say why.

    Attributes:
        mean: expected improvement, with the probe's shape (a numpy float for a scalar probe).
        p_positive: probability of an improvement above 0 if the run does not collapse.
        p_collapse: probability that it collapses; never part of the interval.
        refused: True where no prediction is made.
        warnings: cautions about all probes, each with its probe's flat index.
        branches: where the link is undecided and the gap outside the family's, what either side would say alone.
        levels: the levels that ``intervals`` answers.
        context_known: how much is stored of each probe's context, with the probe's shape; ``None`` where contexts are
            not a level.
    """

    mean: FloatArray
    p_positive: FloatArray
    p_collapse: FloatArray
    refused: BoolArray
    warnings: tuple[Caution, ...]
    branches: tuple["Branch", ...]
    levels: tuple[float, ...]
    _mixture: NormalMixture
    _lowest: FloatArray
    _highest: FloatArray
    context_known: NDArray[np.object_] | Known | None = None

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Prediction interval of any level in (0, 1), equal-tailed, clipped to what is possible.

        Raises:
            ValueError: the level is not inside (0, 1).
        """
        lower, upper = np.moveaxis(self._shown(np.stack(self._mixture.interval(level), axis=1)), -1, 0)
        return lower[()], upper[()]

    def quantiles(self, probabilities: ArrayLike) -> FloatArray:
        """Quantiles at Q probabilities, clipped to what is possible: the probe's shape + (Q,).

        Raises:
            ValueError: a probability is not inside (0, 1).
        """
        return self._shown(self._mixture.quantiles(probabilities))

    def p_above(self, improvement: ArrayLike) -> FloatArray:
        """Probability that a run which does not collapse improves by more: a number, or one of the probe's shape."""
        value = np.broadcast_to(np.asarray(improvement, dtype=np.float64), np.shape(self.refused)).reshape(-1)
        above = np.where(value >= self._highest, 0.0, np.where(value < self._lowest, 1.0, 1 - self._mixture.cdf(value)))
        return np.where(self.refused, np.nan, above.reshape(np.shape(self.refused)))[()]

    @property
    def intervals(self) -> Mapping[float, tuple[FloatArray, FloatArray]]:
        """The intervals of the law's own levels."""
        return {level: self.interval(level) for level in self.levels}

    def _shown(self, value: FloatArray) -> FloatArray:
        """(P, Q) values of the mixtures, clipped, in the probe's shape + (Q,); NaN where refused."""
        clipped = np.clip(value, self._lowest[:, None], self._highest[:, None])
        shape = *np.shape(self.refused), value.shape[1]
        return np.where(np.asarray(self.refused)[..., None], np.nan, clipped.reshape(shape))


class Branch(NamedTuple):
    """What one side of an undecided link predicts for U probes.

    Attributes:
        probes: their flat indices. kind: the side. weight: its probability.
        prediction: of shape (U,), without warnings.
    """

    probes: tuple[int, ...]
    kind: Kind
    weight: float
    prediction: Prediction
