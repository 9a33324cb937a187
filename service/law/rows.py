"""Rows as the likelihood sees them, and their sufficient statistics (docs: LAW steps 1, 2 and 4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

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
        leaf = np.fromiter(map(leaves.place.__getitem__, keys), dtype=np.intp, count=len(keys))
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

    def own_sums(self, known: FloatArray, weight: FloatArray, sigma: FloatArray) -> tuple[FloatArray, ...]:
        """A (3, K), R (2, K) and factor (K,) of a single row: what ``statistics`` has for it, without the machinery."""
        x, y, r = self.x[0], self.y[0], weight[0]
        D = sigma**2 + known[0]
        inverse = r / D
        A, R = np.array([[1.0], [x], [x * x]]) * inverse, np.array([[y], [x * y]]) * inverse
        return A, R, -0.5 * (r * np.log(D) + inverse * y * y)

    def statistics(self, known: FloatArray, weight: FloatArray, sigma: FloatArray) -> "Statistics":
        """Sum over rows with D = sigma^2 + known and collapse weights r, for every sigma (docs: LAW step 4)."""
        n, L, K = len(self.x), len(self.leaves), len(sigma)
        start = np.searchsorted(self.leaf, np.arange(L + 1))
        sums = np.empty((5, L, K))
        log_factor = np.empty(K)
        to_leaves = csr_array((weight, np.arange(n), start), shape=(L, n))
        for k, value in enumerate(sigma):
            D = value**2 + known
            inverse = weight / D
            to_leaves.data = inverse
            sums[:, :, k] = np.asarray(to_leaves @ self._basis).T
            log_factor[k] = -0.5 * (weight @ np.log(D) + inverse @ self.y**2)
        return Statistics(self.leaves, sums[:3], sums[3:], log_factor)

    @cached_property
    def _basis(self) -> FloatArray:
        """(N, 5) zz' and z y."""
        return np.stack([np.ones(len(self.x)), self.x, self.x**2, self.y, self.x * self.y], axis=1)


Sums = tuple[FloatArray, FloatArray]
"""A and R of some leaves."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """All that the posterior needs of the rows.

    Attributes:
        leaves: where the L leaves are.
        A: (3, L, K) sum r zz'/D. R: (2, L, K) sum r z y/D.
        log_factor: (K,) -1/2 sum r (log D + y^2/D).
        changed: A and R, as above, of families' own leaves, instead of those in the large arrays, which many versions
            of a law share: one more row writes down its family alone.
    """

    leaves: Leaves
    A: FloatArray
    R: FloatArray
    log_factor: FloatArray
    changed: Mapping[int, Sums] = field(default_factory=dict)

    def of_families(self, first: int, last: int) -> Sums:
        """A (3, l, K) and R (2, l, K) of families ``first`` to ``last`` (exclusive)."""
        if last == first + 1 and first in self.changed:
            return self.changed[first]
        start = self.leaves.family_start
        begin, end = start[first], start[last]
        A, R = self.A[:, begin:end], self.R[:, begin:end]
        touched = self.changed.keys() & set(range(first, last)) if self.changed else ()
        if touched:
            A, R = A.copy(), R.copy()
        for family in touched:
            own = slice(start[family] - begin, start[family + 1] - begin)
            A[:, own], R[:, own] = self.changed[family]
        return A, R

    def settled(self) -> "Statistics":
        """Write the same sums with nothing in ``changed``."""
        return Statistics(self.leaves, *self.of_families(0, len(self.leaves.family_place)), self.log_factor)

    def plus(self, leaf: int, A: FloatArray, R: FloatArray, log_factor: FloatArray) -> "Statistics":
        """Add a row's own sums, A (3, K), R (2, K) and factor (K,), to those of its leaf."""
        family = int(self.leaves.family[leaf])
        place = leaf - self.leaves.family_start[family]
        family_A, family_R = (part.copy() for part in self.of_families(family, family + 1))
        family_A[:, place] += A
        family_R[:, place] += R
        changed = dict(self.changed)
        changed[family] = family_A, family_R
        return Statistics(self.leaves, self.A, self.R, self.log_factor + log_factor, changed)
