"""Exposure: which true gaps people measure, and so how far a noisy gap is shrunk (docs: LAW steps 1 and 5)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr

from service.law.observations import FloatArray, Observations

PRIOR_MEAN = 0.15  # worth one observation
PRIOR_SD, PRIOR_WEIGHT = 0.1, 4
SMALLEST_SD = 0.03
FLAT_LOW, FLAT_HIGH, FLAT_WEIGHT = -0.15, 0.65, 0.2


class GapSums(NamedTuple):
    """All that the exposure needs of N stored points."""

    n: int
    gap: float
    gap_square: float
    gap_var: float

    @classmethod
    def of(cls, observations: Observations) -> "GapSums":
        """Sum over all stored points."""
        x = observations.gap
        return cls(len(x), float(x.sum()), float(x @ x), float(observations.gap_var.sum()))

    def plus(self, other: "GapSums") -> "GapSums":
        """Sums over both sets of points."""
        return GapSums(
            self.n + other.n,
            self.gap + other.gap,
            self.gap_square + other.gap_square,
            self.gap_var + other.gap_var,
        )


@dataclass(frozen=True)
class Exposure:
    """True gaps ~ N(mean, variance)."""

    mean: float
    variance: float

    @classmethod
    def of(cls, sums: GapSums) -> "Exposure":
        """Moments of the true gaps behind the measured ones (docs: LAW step 1)."""
        n, gap, gap_square, gap_var = sums
        mean = (PRIOR_MEAN + gap) / (1 + n)
        around_mean = gap_square - 2 * mean * gap + n * mean**2
        variance = (PRIOR_WEIGHT * PRIOR_SD**2 + around_mean - gap_var) / (PRIOR_WEIGHT + n)
        return cls(mean, max(variance, SMALLEST_SD**2))

    def reliability(self, gap_var: FloatArray) -> FloatArray:
        """Share of a measured gap's variance that is true: lambda."""
        return self.variance / (self.variance + gap_var)

    def shrink(self, gap: FloatArray, gap_var: FloatArray) -> FloatArray:
        """Mean of the true gap given the measured one: xt."""
        return self.mean + self.reliability(gap_var) * (gap - self.mean)

    def flat_weight(self, gap: FloatArray, gap_var: FloatArray) -> FloatArray:
        """Probability that a new probe's gap comes from the flat part of its exposure (docs: LAW step 5).

        Beyond the flat part's ends its density stays that of the end: the farther a gap lies from every stored
        one, the less it may be shrunk towards them.
        """
        total = self.variance + gap_var
        near = -0.5 * ((gap - self.mean) ** 2 / total + np.log(2 * np.pi * total))
        inside = np.clip(gap, FLAT_LOW, FLAT_HIGH)
        sd = np.sqrt(np.maximum(gap_var, np.finfo(float).tiny))
        density = (ndtr((inside - FLAT_LOW) / sd) - ndtr((inside - FLAT_HIGH) / sd)) / (FLAT_HIGH - FLAT_LOW)
        log_odds = np.log(FLAT_WEIGHT * density) - np.log(1 - FLAT_WEIGHT) - near
        return np.asarray(expit(log_odds), dtype=np.float64)
