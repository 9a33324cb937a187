"""Rows as the likelihood sees them, and their sufficient statistics (docs: LAW steps 1, 2 and 4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from service.law.contexts import Contexts, dilution
from service.law.exposure import Exposure, GapSums
from service.law.leaves import IndexArray, Leaves
from service.law.links import headroom
from service.law.observations import BoolArray, FloatArray, Observations


@dataclass(frozen=True, eq=False)
class Rows:
    """Stored points, sorted by leaf, as the likelihood sees them (docs: LAW steps 1 and 2).

    Attributes:
        leaves: where the L leaves are.
        leaf: (N,) each row's leaf; ``order`` is each row's place in the observations.
        configuration: (N,) each row's configuration where contexts are a level; then rows are sorted by it.
        is_own: (N,) False where a row is lent by another pool.
        contexts: those that occur, ``None`` where contexts are not a level. dilutes: True if the dilution counts.
        x: (N,) shrunken gap. y: (N,) improvement less the error that it shares with the gap.
        attenuated: (N,) lambda s_x2, the variance of the true gap given the measured one.
        shared: (N,) lambda c.
        own: (N,) s_y2 - c^2/(tau_x2 + s_x2).
        noise: (N,) s_y2.
        headroom: (N,) H, NaN where unknown. headroom_var: (N,) its variance where it is no part of y's, else 0.
        dilution: (N,) w, all 0 where it does not count.
    """

    leaves: Leaves
    leaf: IndexArray
    order: IndexArray
    configuration: IndexArray
    is_own: BoolArray
    contexts: Contexts | None
    dilutes: bool
    x: FloatArray
    y: FloatArray
    attenuated: FloatArray
    shared: FloatArray
    own: FloatArray
    noise: FloatArray
    headroom: FloatArray
    headroom_var: FloatArray
    dilution: FloatArray

    @classmethod
    def of(
        cls,
        observations: Observations,
        exposure: Exposure,
        leaves: Leaves | None = None,
        *,
        lent: Observations | None = None,
        contexts: bool = False,
        dilutes: bool = False,
    ) -> "Rows":
        """Transform the observations; ``leaves`` defaults to those that occur.

        The gaps of ``lent`` rows, which come last, are shrunk towards each other and not towards those of the pool.
        """
        columns, is_own = _seen(observations, exposure), np.ones(len(observations), dtype=np.bool_)
        if lent is not None:
            theirs = _seen(lent, Exposure.of(GapSums.of(lent)))
            columns = [np.concatenate(pair) for pair in zip(columns, theirs, strict=True)]
            is_own = np.concatenate([is_own, np.zeros(len(lent), dtype=np.bool_)])
            observations = Observations.joined([observations, lent])
        keys = list(zip(observations.family, observations.cell, strict=True))
        leaves = Leaves(keys) if leaves is None else leaves
        leaf = np.fromiter(map(leaves.place.__getitem__, keys), dtype=np.intp, count=len(keys))
        if contexts:
            groups, configuration = Contexts.of(observations, leaves)
            order = np.argsort(configuration, kind="stable")
        else:
            groups, configuration = None, np.zeros(len(keys), dtype=np.intp)
            order = np.argsort(leaf, kind="stable")
        w = dilution(observations.gap_spread, observations.gap) if dilutes else np.zeros(len(keys))
        sorted_columns = (column[order] for column in (*columns, w))
        return cls(leaves, leaf[order], order, configuration[order], is_own[order], groups, dilutes, *sorted_columns)

    def every(self, step: int) -> "Rows":
        """Each ``step``-th row; the leaves and contexts stay, even those that lose theirs."""
        columns = [each.name for each in fields(self) if isinstance(getattr(self, each.name), np.ndarray)]
        return replace(self, **{name: getattr(self, name)[::step] for name in columns})

    def zeta(self, effect: FloatArray) -> FloatArray:
        """(d + 1, N) what multiplies the coefficients, and the context's effect."""
        regressors = (np.ones(len(self.x)), self.x, *([self.dilution] if self.dilutes else []))
        return np.array([*regressors, effect])

    @cached_property
    def basis(self) -> FloatArray:
        """(N, 5) zz' and z y."""
        return self.basis_of(self.y)

    def basis_of(self, response: FloatArray) -> FloatArray:
        """(N, 5) zz' and z times a response."""
        x = self.x
        return np.stack([np.ones(len(x)), x, x**2, response, x * response], axis=1)


def _seen(observations: Observations, exposure: Exposure) -> list[FloatArray]:
    """Columns of ``Rows`` from x to the variance of the headroom, in the order of the observations."""
    x, x_var, c = observations.gap, observations.gap_var, observations.cov
    reliability = exposure.reliability(x_var)
    total = exposure.variance + x_var
    return [
        exposure.shrink(x, x_var),
        observations.improvement - c * (x - exposure.mean) / total,
        reliability * x_var,
        reliability * c,
        observations.improvement_var - c**2 / total,
        observations.improvement_var,
        headroom(observations.baseline),
        np.where(c == 0, observations.baseline_var, 0.0),
    ]


Sums = tuple[FloatArray, FloatArray]
"""A and R of some leaves."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """All that the posterior needs of the rows.

    Attributes:
        leaves: where the L leaves are.
        A: (3, L, K) sum r zz'/D. R: (2, L, K) sum r z y/D. Where contexts are a level, they are what contexts say, of
            d coefficients.
        log_factor: (K,) -1/2 sum r (log D + y^2/D), and the contexts' factors.
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

    def of_scales(self, keep: BoolArray) -> "Statistics":
        """Leave the other values of the first axis out."""
        return Statistics(self.leaves, self.A[..., keep], self.R[..., keep], self.log_factor[keep])

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
