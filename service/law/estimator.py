"""The estimator: stored runs in, predicted improvements out."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from service.law import fitting, hierarchy, increment, predicting, record
from service.law.diagnostics import Diagnostics
from service.law.mixture import NormalMixture
from service.law.observations import Observations, Probe
from service.law.prediction import Coefficients, Estimate, Line, Prediction, Status
from service.law.state import LawState

CONFIDENCE = 0.95


class GapLaw(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The linear law of gap and improvement: hierarchical Bayes with errors in variables (docs: LAW part 1).

    Args:
        levels: the levels that ``Prediction.intervals`` answers, each in (0, 1).

    Attributes:
        state_: the fitted law without its rows.
        diagnostics_: what it says of each row; a law that was read from a record has none, for want of rows.
    """

    def __init__(self, levels: tuple[float, ...] = (0.8, 0.95)) -> None:
        self.levels = levels

    def fit(self, observations: Observations, y: None = None) -> Self:
        """Fit to all stored points; none at all leave the prior.

        Raises:
            ValueError: a level is not inside (0, 1).
        """
        for level in self.levels:
            if not 0 < level < 1:
                raise ValueError(f"level {level} is not inside (0, 1)")
        fitted = fitting.fit(observations)
        self.state_ = LawState.of(fitted, observations)
        self.diagnostics_ = Diagnostics.of(fitted)
        return self

    @property
    def families_(self) -> dict[str, int]:
        """Stored points of each family; those known as collapsed do not count."""
        return {name: summary.n for name, summary in self._state.families.items()}

    @property
    def cells_(self) -> set[str]:
        """Cells of which something is stored."""
        return {cell for _, cell in self._state.posterior.statistics.leaves.place if cell is not None}

    @property
    def curvature_(self) -> float:
        """P-value of the one-sided test that improvements bend down; NaN with too few points for one."""
        return self._state.curvature

    @property
    def p_collapse_(self) -> float:
        """Probability that a run collapses."""
        return self._state.pi

    @property
    def stale_(self) -> bool:
        """Whether updates moved the law so far that a full fit is due."""
        return self._state.stale

    def update(self, observation: Observations) -> Self:
        """Take one more row in this law, without the stored ones: exact until ``stale_``.

        ``diagnostics_`` and ``curvature_`` stay those of the last full fit.

        Raises:
            ValueError: not exactly one observation.
        """
        self.state_ = increment.add(self._state, observation)
        return self

    def status(self, family: str) -> Status:
        """How much the law knows of a family."""
        return predicting.status(self._state, family)

    def predict_improvement(self, probe: Probe) -> Prediction:
        """Predicted improvements, with the probe's shape."""
        return predicting.predict(self._state, probe, self.levels)

    def coefficients(self, family: str, cell: str | None = None) -> Coefficients:
        """Slope and intercept with 95 % confidence intervals.

        A family without points gets those of a family newly drawn from the population, a cell without points those
        of a cell newly drawn from its family.
        """
        posterior = self._state.posterior
        mean, cov = posterior.coefficients(family, cell)
        both = NormalMixture(np.stack([posterior.weight] * 2), mean, np.sqrt(cov[[0, 2]]))
        intercept, slope = zip(both.centre.tolist(), *(b.tolist() for b in both.interval(CONFIDENCE)), strict=True)
        return Coefficients(slope=Estimate(*slope), intercept=Estimate(*intercept))

    def line(self, family: str, gaps: ArrayLike, cell: str | None = None, level: float = CONFIDENCE) -> Line:
        """Draw the line b0 + b1 x of a family, or of its cell, at P true gaps x, with a *confidence* interval."""
        x = np.asarray(gaps, dtype=np.float64)[:, None]
        posterior = self._state.posterior
        centre, variance = hierarchy.line(*posterior.coefficients(family, cell), x)
        mixture = NormalMixture(np.broadcast_to(posterior.weight, centre.shape), centre, np.sqrt(variance))
        return Line(mixture.centre, *mixture.interval(level))

    def to_record(self) -> dict[str, Any]:
        """Write the fitted law as JSON values: sufficient statistics, not rows."""
        return {"levels": list(self.levels), **record.to_record(self._state)}

    @classmethod
    def from_record(cls, written: dict[str, Any]) -> Self:
        """Read the law that ``to_record`` wrote: its predictions are equal bit by bit.

        Raises:
            ValueError: the record was written by another version.
        """
        law = cls(levels=tuple(written["levels"]))
        law.state_ = record.from_record(written)
        return law

    @property
    def _state(self) -> LawState:
        check_is_fitted(self, "state_")
        return self.state_
