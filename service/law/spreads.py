"""The fits among which a run is judged where contexts are a level: one for every triple of scales with effects.

Without effects of contexts all sigmas are one fit, by their moments, as they are where contexts are not a level.
"""

from dataclasses import dataclass

import numpy as np

from service.law.observations import BoolArray, FloatArray
from service.law.posterior import mixed
from service.law.scales import Scales


@dataclass(frozen=True, eq=False)
class Spreads:
    """G fits.

    Attributes:
        weight: (K,) posterior probability of each triple. still: (K,) True where tau = 0.
    """

    scales: Scales
    weight: FloatArray
    still: BoolArray

    @classmethod
    def of(cls, scales: Scales, weight: FloatArray) -> "Spreads":
        """Split K triples, each with a weight above 0."""
        return cls(scales, weight / weight.sum(), scales.tau == 0)

    @property
    def share(self) -> FloatArray:
        """(G,) posterior probability of each fit."""
        return self._with_one(self.weight, self.weight[self.still].sum())

    @property
    def sigma_square(self) -> FloatArray:
        """(G,) E[sigma^2] of each fit."""
        share, square = self.weight[self.still], self.scales.sigma**2
        return self._with_one(square, share @ square[self.still] / share.sum() if self.still.any() else square[0])

    def mixed(self, mean: FloatArray, cov: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean (d, ..., G) and covariance (d (d + 1)/2, ..., G) of the fits, from those of the triples."""
        if not self.still.any():
            return mean, cov
        weight = self.weight[self.still]
        one = mixed(mean[..., self.still], cov[..., self.still], weight / weight.sum())
        return self._with_one(mean, one[0]), self._with_one(cov, one[1])

    def _with_one(self, every: FloatArray, one: FloatArray | np.float64) -> FloatArray:
        """Put the one fit without effects, if there is one, before the triples with effects."""
        others = every[..., ~self.still]
        return np.concatenate([np.asarray(one)[..., None], others], axis=-1) if self.still.any() else others
