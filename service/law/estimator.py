"""The estimator: stored runs in, predicted improvements out."""

from collections import Counter
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.law import cautions, context_report, curves, drawing, increment, predicting, record
from service.law.keys import Key
from service.law.links import LinkName
from service.law.observations import Observations, Probe
from service.law.pools import LawState, fit_law
from service.law.prediction import CarryOver, Coefficients, ContextEffect, Estimate, Line, Prediction, Status
from service.law.state import PoolState

EVERY_LINK = tuple(name.value for name in LinkName)


class GapLaw:
    """The law of gap and improvement: hierarchical Bayes with errors in variables and a mixture of links (docs: LAW).

    Runs lend each other strength within a teacher rule and divergence. Where a method takes no ``teacher`` and
    ``divergence``, it means those that most of the family's stored runs have.

    An estimator to scikit-learn's tools, by their protocol and not by their base class: its import is a third of a
    server's start.

    Args:
        levels: the levels that ``Prediction.intervals`` answers, each in (0, 1).
        candidate_links: the links that are weighed against each other; ``("linear",)`` is LAW part 1.
        dilution: where contexts are a level and every row's ``gap_spread`` is known, a gap that lies on few problems
            may carry over less or more than one that lies on all.

    Attributes:
        state_: the fitted law without its rows.
        diagnostics_: what it says of each row; a law that was read from a record has none, for want of rows.
    """

    def __init__(
        self,
        levels: tuple[float, ...] = (0.8, 0.95),
        candidate_links: tuple[str, ...] = EVERY_LINK,
        dilution: bool = False,  # scikit-learn names its parameters
    ) -> None:
        self.levels = levels
        self.candidate_links = candidate_links
        self.dilution = dilution

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, as scikit-learn asks for them; `deep` changes nothing here."""
        return {"levels": self.levels, "candidate_links": self.candidate_links, "dilution": self.dilution}

    def set_params(self, **parameters: object) -> Self:
        """Set parameters by name, as scikit-learn does.

        Raises:
            ValueError: a name is not that of a parameter.
        """
        for name, value in parameters.items():
            if name not in self.get_params():
                raise ValueError(f"{name}: expected one of {', '.join(self.get_params())}")
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> object:
        """Say what scikit-learn's tools may expect: nothing beyond an estimator."""
        from sklearn.base import BaseEstimator

        return BaseEstimator.__sklearn_tags__(self)

    def fit(self, observations: Observations, y: None = None, *, lent: Observations | None = None) -> Self:
        """Fit to all stored points; none at all leave the prior.

        Args:
            observations: the pool's own.
            y: nothing; scikit-learn's estimators have it.
            lent: those of another pool, whose families stand beside the own ones in the hierarchy, for cold starts.
                They count nowhere else: not in points, exposure, diagnostics or the probability of a collapse. A
                family that has own observations keeps those alone; ``not_lent_`` names it.

        Raises:
            ValueError: a level is not inside (0, 1), or a link is unknown.
        """
        for level in self.levels:
            if not 0 < level < 1:
                raise ValueError(f"level {level} is not inside (0, 1)")
        for link in self.candidate_links:
            if link not in EVERY_LINK:
                raise ValueError(f"candidate_links: {link!r} is none of {', '.join(EVERY_LINK)}")
        if not self.candidate_links:
            raise ValueError(f"candidate_links: name at least one of {', '.join(EVERY_LINK)}")
        links = tuple(self.candidate_links)
        self.state_, self.diagnostics_ = fit_law(observations, links, lent, dilutes=self.dilution)
        self._rows, self._lent = [observations], lent
        return self

    @property
    def lent_(self) -> dict[str, int]:
        """Points of each family that another pool lends."""
        borrowed = self._state.borrowed
        return {} if borrowed is None else dict(borrowed.families)

    @property
    def not_lent_(self) -> tuple[str, ...]:
        """Families that were offered and not lent: the law has observations of the same name, which count alone."""
        borrowed = self._state.borrowed
        return () if borrowed is None else borrowed.left_out

    @property
    def families_(self) -> dict[str, int]:
        """Stored points of each family; those known as collapsed do not count."""
        return self._state.families

    @property
    def recipes_(self) -> dict[tuple[str, Key], int]:
        """Stored points of each family under each teacher rule and divergence, as far as a record knows them apart."""
        found: Counter[tuple[str, Key]] = Counter()
        for (family, _), counts in self._state.counts.items():
            found.update({(family, key): n for key, n in counts.items()})
        if self._state.undivided:
            return {(family, key): self.families_[family] for family, key in found if family in self.families_}
        return {pair: n for pair, n in sorted(found.items()) if n}

    @property
    def leaves_(self) -> dict[tuple[str, str, Key], int]:
        """Stored points of each cell of a family under each teacher rule and divergence."""
        counts = sorted(
            (family, cell, key, n)
            for (family, cell), of in self._state.counts.items()
            if cell is not None
            for key, n in of.items()
            if n
        )
        return {(family, cell, key): n for family, cell, key, n in counts}

    def home(self, family: str, cell: str | None = None) -> Key:
        """The teacher rule and divergence that most stored runs of a cell, else of its family, else all, have."""
        return self._state.home(family, cell)

    @property
    def cells_(self) -> set[str]:
        """Cells of which something is stored."""
        return self._state.cells

    @property
    def curvature_(self) -> float:
        """P-value of the one-sided test that improvements bend down where the law is straight.

        With several straight teacher rules the smallest, times their number; NaN with too few points, or without any.
        """
        return self._state.curvature

    @property
    def p_collapse_(self) -> float:
        """Probability that a run collapses, averaged over the stored ones."""
        return self._state.p_collapse

    @property
    def stale_(self) -> bool:
        """Whether updates moved the law so far that a full fit is due."""
        return any(pool.stale for pool in self._state.pools.values())

    def update(self, observation: Observations) -> Self:
        """Take one more row in this law: exact until ``stale_`` where the line has all the weight, else a full fit.

        After an exact one ``diagnostics_`` and ``curvature_`` stay those of the last full fit.

        Raises:
            ValueError: not exactly one observation; or a full fit is needed and this law was read from a record,
                which holds no rows.
        """
        state = increment.add(self._state, observation)
        if state is None and not self._rows:
            raise ValueError("this law's update is a full fit, and its record holds no rows: fit it with all of them")
        if self._rows:
            self._rows.append(observation)
        if state is None:
            return self.fit(Observations.joined(self._rows), lent=self._lent)
        self.state_ = state
        return self

    def status(self, family: str, *, teacher: str | None = None, divergence: str | None = None) -> Status:
        """How much the law knows of a family."""
        return cautions.status(self._pool(family, None, teacher, divergence), family)

    def points(self, family: str, *, teacher: str | None = None, divergence: str | None = None) -> int:
        """Stored points of a family that ``status`` speaks of; those known as collapsed do not count."""
        found = self._pool(family, None, teacher, divergence).families.get(family)
        return 0 if found is None else found.n

    def predict_improvement(self, probe: Probe) -> Prediction:
        """Predicted improvements, with the probe's shape."""
        return predicting.predict(self._state, probe, self.levels)

    def links(
        self, family: str, cell: str | None = None, *, teacher: str | None = None, divergence: str | None = None
    ) -> dict[str, float]:
        """Probability of each link where this family's runs stand."""
        return curves.links(self._pool(family, cell, teacher, divergence))

    def coefficients(
        self,
        family: str,
        cell: str | None = None,
        *,
        teacher: str | None = None,
        divergence: str | None = None,
        baseline: float | None = None,
    ) -> Coefficients:
        """Slope and intercept at gap 0 and the improvement at gap .15, with 95 % confidence intervals.

        A family without points gets those of a family newly drawn from the population, a cell without points those
        of a cell newly drawn from its family. ``baseline`` is the median of the family's runs unless given.
        """
        pool = self._pool(family, cell, teacher, divergence)
        return curves.coefficients(pool, family, cell, baseline)

    def curve(
        self,
        family: str,
        gaps: ArrayLike,
        cell: str | None = None,
        level: float = curves.CONFIDENCE,
        *,
        teacher: str | None = None,
        divergence: str | None = None,
        baseline: float | None = None,
    ) -> Line:
        """Draw the improvement of a family, or of its cell, at P true gaps, with a *confidence* interval.

        ``baseline`` is the median of the family's runs unless given: where the curve bends depends on it.
        """
        pool = self._pool(family, cell, teacher, divergence)
        return curves.curve(pool, family, cell, np.asarray(gaps, dtype=np.float64), baseline, level)

    line = curve

    def typical_baseline(
        self, family: str, cell: str | None = None, *, teacher: str | None = None, divergence: str | None = None
    ) -> float:
        """Median baseline of the family's runs, else of all; 0 where one is unknown."""
        return self._pool(family, cell, teacher, divergence).typical_baseline(family)

    def draws(self, probe: Probe, n: int, seed: int, gap_cov: ArrayLike | None = None) -> NDArray[np.float64]:
        """Draw n joint improvements of P probes: (n, P), none of which collapses.

        What the questions share is drawn once for all of them: the law's coefficients, and the effects of contexts.
        Comparisons rank by such draws, because the intervals of two answers say nothing of their difference.

        Args:
            probe: P questions, flattened.
            n: how many draws.
            seed: the same seed draws the same.
            gap_cov: (P, P) covariance of the gaps' sampling errors, for gaps that share the student's samples.

        Raises:
            ValueError: n is not positive, or ``gap_cov`` is not a covariance of these gaps' errors.
        """
        if n < 1:
            raise ValueError(f"n: expected at least 1 draw, got {n}")
        return drawing.draws(self._state, probe, n, seed, drawing.checked(gap_cov, probe))

    def context_sd(
        self, family: str, cell: str | None = None, *, teacher: str | None = None, divergence: str | None = None
    ) -> Estimate:
        """Standard deviation of contexts' effects, with 95 % bounds; zeros where contexts are not a level."""
        return context_report.spread(self._pool(family, cell, teacher, divergence))

    def carry_over(
        self, family: str, cell: str | None = None, *, teacher: str | None = None, divergence: str | None = None
    ) -> CarryOver:
        """Probability that a gap's spread over problems counts, and its coefficient beside the slope."""
        return context_report.carry_over(self._pool(family, cell, teacher, divergence), (family, cell))

    def context_effects(self) -> tuple[ContextEffect, ...]:
        """Estimate how far each stored context, and each of its configurations, is off the line; all pools together."""
        return tuple(context_report.context_effects(self._state))

    def to_record(self) -> record.Record:
        """Write the fitted law as JSON values: sufficient statistics, not rows."""
        return {"levels": list(self.levels), **record.to_record(self._state)}

    @classmethod
    def from_record(cls, written: record.Record) -> Self:
        """Read the law that ``to_record`` wrote: its predictions are equal bit by bit.

        Raises:
            ValueError: the record was written by another version.
        """
        state = record.from_record(written)
        law = cls(levels=tuple(written["levels"]), candidate_links=state.links, dilution=state.dilution)
        law.state_, law._rows, law._lent = state, [], None
        return law

    def _pool(self, family: str, cell: str | None, teacher: str | None, divergence: str | None) -> PoolState:
        state = self._state
        said = teacher is not None or divergence is not None
        key = Key.of(teacher, divergence) if said else state.home(family, cell)
        return state.answering(key, (family, cell))

    @property
    def _state(self) -> LawState:
        if not hasattr(self, "state_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("This GapLaw is not fitted yet: call `fit` first.")
        return self.state_
