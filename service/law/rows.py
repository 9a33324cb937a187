"""Rows as the likelihood sees them, and their sufficient statistics (docs: LAW steps 1, 2 and 4)."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from service.law.exposure import Exposure
from service.law.leaves import IndexArray, Leaves
from service.law.observations import FloatArray, Observations

SMALLEST_KNOWN_VARIANCE = 1e-7


@dataclass(frozen=True, eq=False)
class Rows:
    """Stored points, sorted by leaf, as the likelihood sees them (docs: LAW steps 1 and 2).

    Attributes:
        leaves: where the L leaves are.
        leaf: (N,) each row's leaf; ``order`` is each row's place in the observations.
        x: (N,) shrunken gap. y: (N,) improvement less the error that it shares with the gap.
        attenuated: (N,) lambda s_x2, the variance of the true gap given the measured one.
        shared: (N,) lambda c.
        own: (N,) s_y2 - c^2/(tau_x2 + s_x2).
    """

    leaves: Leaves
    leaf: IndexArray
    order: IndexArray
    x: FloatArray
    y: FloatArray
    attenuated: FloatArray
    shared: FloatArray
    own: FloatArray

    @classmethod
    def of(cls, observations: Observations, exposure: Exposure, leaves: Leaves | None = None) -> "Rows":
        """Transform the observations; ``leaves`` defaults to those that occur."""
        keys = list(zip(observations.family, observations.cell, strict=True))
        leaves = Leaves(keys) if leaves is None else leaves
        leaf = np.fromiter((leaves.place[key] for key in keys), dtype=np.intp, count=len(keys))
        order = np.argsort(leaf, kind="stable")
        x, x_var, c = observations.gap, observations.gap_var, observations.cov
        reliability = exposure.reliability(x_var)
        total = exposure.variance + x_var
        columns = (
            exposure.shrink(x, x_var),
            observations.improvement - c * (x - exposure.mean) / total,
            reliability * x_var,
            reliability * c,
            observations.improvement_var - c**2 / total,
        )
        return cls(leaves, leaf[order], order, *(column[order] for column in columns))

    def known_variance(self, slope: FloatArray, slope_square: FloatArray) -> FloatArray:
        """(N,) D less sigma^2, from E[b1] and E[b1^2] of each leaf (docs: LAW step 2)."""
        known = self.own + slope_square[self.leaf] * self.attenuated - 2 * slope[self.leaf] * self.shared
        return np.maximum(known, SMALLEST_KNOWN_VARIANCE)

    def statistics(self, known: FloatArray, weight: FloatArray, sigma: FloatArray) -> "Statistics":
        """Sum over rows with D = sigma^2 + known and collapse weights r, for every sigma (docs: LAW step 4)."""
        n, L, K = len(self.x), len(self.leaves), len(sigma)
        basis = np.stack([np.ones(n), self.x, self.x**2, self.y, self.x * self.y], axis=1)
        start = np.searchsorted(self.leaf, np.arange(L + 1))
        sums = np.empty((5, L, K))
        log_factor = np.empty(K)
        to_leaves = csr_array((weight, np.arange(n), start), shape=(L, n))
        for k, value in enumerate(sigma):
            D = value**2 + known
            inverse = weight / D
            to_leaves.data = inverse
            sums[:, :, k] = (to_leaves @ basis).T
            log_factor[k] = -0.5 * (weight @ np.log(D) + inverse @ self.y**2)
        return Statistics(self.leaves, sums[:3], sums[3:], log_factor)


@dataclass(frozen=True, eq=False)
class Statistics:
    """All that the posterior needs of the rows.

    Attributes:
        leaves: where the L leaves are.
        A: (3, L, K) sum r zz'/D. R: (2, L, K) sum r z y/D.
        log_factor: (K,) -1/2 sum r (log D + y^2/D).
    """

    leaves: Leaves
    A: FloatArray
    R: FloatArray
    log_factor: FloatArray
