"""Mixtures of normals: what a prediction is (docs: LAW step 5)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from service.law.observations import FloatArray

BISECTIONS = 40  # a bracket of the unit range shrinks to 1e-12


@dataclass(frozen=True, eq=False)
class NormalMixture:
    """P mixtures of C normals each: all arrays (P, C), weights sum to 1 in each row."""

    weight: FloatArray
    mean: FloatArray
    sd: FloatArray

    @property
    def centre(self) -> FloatArray:
        """(P,) means."""
        return np.asarray((self.weight * self.mean).sum(axis=1))

    def cdf(self, value: FloatArray) -> FloatArray:
        """(P,) probabilities of values (P,) or less."""
        return np.asarray((self.weight * ndtr((value[:, None] - self.mean) / self.sd)).sum(axis=1))

    def quantile(self, probability: float) -> FloatArray:
        """(P,) quantiles, by bisection between the lowest and the highest of the components' own."""
        own = self.mean + self.sd * ndtri(probability)
        low, high = own.min(axis=1), own.max(axis=1)
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < probability
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high))

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """(P,) equal-tailed bounds that hold ``level`` of the probability."""
        if not 0 < level < 1:
            raise ValueError(f"level {level} is not inside (0, 1)")
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)
