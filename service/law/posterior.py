"""Posterior of the spreads and, given them, of all coefficients (docs: LAW steps 4 and 7).

J nodes of the grid, L leaves, F families.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from service.law.grid import LEAST_EFFECT, Carry, Grid, Nodes, effective
from service.law.hierarchy import message_up, posterior_down, widened
from service.law.leaves import IndexArray, Leaf, summed
from service.law.observations import BoolArray, FloatArray
from service.law.priors import STRAIGHT, Prior
from service.law.rows import Statistics, Sums

CHUNK = 60_000  # leaf-node pairs at a time: a dozen arrays of this size stay in a core's cache
NEGLIGIBLE = 1e-12  # weight of nodes that can be left out
LITTLE = 1e-9  # the same where the moments are only to weigh rows by
REMEMBERED = 8  # coefficients of some leaves: one answer asks for the same ones several times


@dataclass(frozen=True, eq=False)
class Totals:
    """All families' messages at each node: their sums are the only thing through which families meet.

    Attributes:
        W: (3, J) sum of W_g. u: (2, J) sum of u_g. log_factor: (J,) sum of the factors.
    """

    W: FloatArray
    u: FloatArray
    log_factor: FloatArray

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.W + other.W, self.u + other.u, self.log_factor + other.log_factor)


@dataclass(frozen=True, eq=False)
class FamilyBlock:
    """Some whole families at every node.

    Attributes:
        leaves: their range. family_of_leaf: each one's family, counted from the block's first.
        leaf_precision, leaf_shift: (3, l, J), (2, l, J) A and R of the leaves. leaf_t: (2, l, J) rho^2 T, or 0.
        A, R: (3, f, J), (2, f, J) of the families, cells' messages summed. log_factor: (f, J) the messages' factors.
    """

    leaves: slice
    family_of_leaf: IndexArray
    leaf_precision: FloatArray
    leaf_shift: FloatArray
    leaf_t: FloatArray
    A: FloatArray
    R: FloatArray
    log_factor: FloatArray


def family_blocks(statistics: Statistics, grid: Grid | Nodes) -> Iterator[FamilyBlock]:
    """Families' information at every node, cells' messages summed, in blocks that fit the cache."""
    statistics = statistics.settled()
    start = statistics.leaves.family_start
    nodes = len(grid.sigma_index)
    first = 0
    while first < len(start) - 1:
        last = max(first + 1, int(np.searchsorted(start, start[first] + CHUNK // nodes, side="right")) - 1)
        yield family_block(statistics, grid, first, last)
        first = last


def family_block(statistics: Statistics, grid: Grid | Nodes, first: int, last: int) -> FamilyBlock:
    """Families ``first`` to ``last`` (exclusive) at every node."""
    start = statistics.leaves.family_start
    leaves = slice(int(start[first]), int(start[last]))
    leaf_precision, leaf_shift = (grid.at_nodes(part) for part in statistics.of_families(first, last))
    leaf_t = grid.cell_variance[:, None] * statistics.leaves.in_cell[leaves, None]
    A, R, log_factor = leaf_precision, leaf_shift, np.zeros((last - first, leaf_shift.shape[2]))
    if statistics.leaves.in_cell[leaves].any():  # otherwise a leaf is its family, which saves a third of the time
        messages = message_up(leaf_precision, leaf_shift, leaf_t)
        A, R, log_factor = (summed(part, start[first : last + 1] - start[first]) for part in messages)
    return FamilyBlock(
        leaves,
        statistics.leaves.family[leaves] - first,
        leaf_precision,
        leaf_shift,
        leaf_t,
        A,
        R,
        log_factor,
    )


def block_totals(block: FamilyBlock, grid: Grid) -> Totals:
    """Sum the messages of a block's families to the population."""
    W, u, log_factor = message_up(block.A, block.R, grid.family_variance[:, None])
    return Totals(W[:3].sum(axis=1), u[:2].sum(axis=1), (log_factor + block.log_factor).sum(axis=0))


def one_more(block: FamilyBlock, leaf: int, A: FloatArray, R: FloatArray, grid: Grid) -> tuple[FamilyBlock, Totals]:
    """Add A (3, J) and R (2, J) to one leaf of a single family's block.

    Returns:
        the new block, and what the population's totals gain by it.
    """
    precision, shift, t = block.leaf_precision.copy(), block.leaf_shift.copy(), block.leaf_t[:, leaf]
    precision[:, leaf] += A
    shift[:, leaf] += R
    W, u, factor = A, R, np.zeros(A.shape[1])
    if t.any():  # a cell: its family hears less than the row says
        W, u, factor = _gain(
            (block.leaf_precision[:, leaf], block.leaf_shift[:, leaf]), (precision[:, leaf], shift[:, leaf]), t
        )
    family_A, family_R = block.A + W[:, None], block.R + u[:, None]
    after = replace(
        block,
        leaf_precision=precision,
        leaf_shift=shift,
        A=family_A,
        R=family_R,
        log_factor=block.log_factor + factor,
    )
    W, u, more = _gain((block.A[:, 0], block.R[:, 0]), (family_A[:, 0], family_R[:, 0]), grid.family_variance)
    return after, Totals(W, u, factor + more)


def _gain(old: Sums, new: Sums, t: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What a parent gains when a child's A (3, J) and R (2, J) change: W (3, J), u (2, J), log factor (J,)."""
    A, R = (np.array(pair).swapaxes(0, 1) for pair in zip(old, new, strict=True))
    W, u, factor = message_up(A, R, t[:, None])
    return W[:, 1] - W[:, 0], u[:, 1] - u[:, 0], factor[1] - factor[0]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior of everything, node by node."""

    grid: Grid
    statistics: Statistics
    totals: Totals
    prior: Prior = STRAIGHT

    @classmethod
    def of(cls, statistics: Statistics, grid: Grid, prior: Prior = STRAIGHT) -> "Posterior":
        """Integrate the coefficients out at every node."""
        nodes = len(grid.sigma_index)
        totals = Totals(np.zeros((3, nodes)), np.zeros((2, nodes)), np.zeros(nodes))
        for block in family_blocks(statistics, grid):
            totals += block_totals(block, grid)
        return cls(grid, statistics, totals, prior)

    def pruned(self) -> "Posterior":
        """Leave out values of rho without weight: with many cells three of the four, and that of all the work."""
        share = self.weight.reshape(self.grid.shape).sum(axis=(0, 1, 2))
        keep = share > NEGLIGIBLE
        nodes = np.broadcast_to(keep, self.grid.shape).reshape(-1)
        totals = Totals(self.totals.W[:, nodes], self.totals.u[:, nodes], self.totals.log_factor[nodes])
        carry = None if self.grid.carry is None else Carry(*(part[keep] for part in self.grid.carry))
        return replace(self, grid=replace(self.grid, rho=self.grid.rho[keep], carry=carry), totals=totals)

    @cached_property
    def precision(self) -> FloatArray:
        """(3, J) Lambda."""
        intercept, slope = self.prior.precision
        return np.asarray(self.totals.W + np.array([[intercept], [0.0], [slope]]))

    @cached_property
    def shift(self) -> FloatArray:
        """(2, J) U."""
        return np.asarray(self.totals.u + (self.prior.precision * self.prior.mean)[:, None])

    @cached_property
    def population(self) -> tuple[FloatArray, FloatArray]:
        """Mean (2, J) and covariance (3, J) of mu: Lambda^-1 U and Lambda^-1."""
        a, b, d = self.precision
        p, q = self.shift
        cov = np.array([d, -b, a]) / (a * d - b * b)
        return np.array([cov[0] * p + cov[1] * q, cov[1] * p + cov[2] * q]), cov

    @cached_property
    def above(self) -> tuple[FloatArray, FloatArray]:
        """Mean (d, J) and covariance (d (d + 1)/2, J) of what families' coefficients spread about."""
        return widened(*self.population, self.grid.dimensions)

    @cached_property
    def log_weight(self) -> FloatArray:
        """(J,) log w of LAW step 4, up to constants that all nodes share."""
        a, b, d = self.precision
        quadratic = (self.shift * self.population[0]).sum(axis=0)
        likelihood = self.grid.at_nodes(self.statistics.log_factor) + self.totals.log_factor
        return np.asarray(self.grid.log_prior + likelihood + 0.5 * (quadratic - np.log(a * d - b * b)))

    @cached_property
    def weight(self) -> FloatArray:
        """(J,) posterior probability of each node."""
        share = np.exp(self.log_weight - self.log_weight.max())
        return np.asarray(share / share.sum())

    @cached_property
    def scale_weight(self) -> FloatArray:
        """(K,) posterior probability of each value of the first axis."""
        return np.asarray(self.weight.reshape(len(self.grid.sigma), -1).sum(axis=1))

    @property
    def effective_nodes(self) -> float:
        """1 / sum w^2."""
        return float(1 / np.sum(self.weight**2))

    @property
    def effective_sigmas(self) -> float:
        """The same for sigma's own weights."""
        if self.grid.scales is not None:
            return effective(self.grid.scales.sigma_weight(self.scale_weight))
        return float(1 / np.sum(self.weight.reshape(self.grid.shape).sum(axis=(1, 2, 3)) ** 2))

    @property
    def effective_taus(self) -> float:
        """The same for the spread of contexts where there is one, infinite where nothing needs it."""
        if self.grid.scales is None:
            return float("inf")
        taus, weight = self.grid.scales.tau_weight(self.scale_weight)
        return effective(weight) if len(taus) > 1 and weight.sum() > LEAST_EFFECT else float("inf")

    @property
    def tau_square(self) -> float:
        """Posterior mean of tau^2."""
        return 0.0 if self.grid.scales is None else float(self.scale_weight @ self.grid.scales.tau**2)

    @property
    def sigma_square(self) -> float:
        """Posterior mean of sigma^2."""
        return float(self.weight @ self.grid.sigma[self.grid.sigma_index] ** 2)

    def coefficients(self, family: str, cell: str | None) -> tuple[FloatArray, FloatArray]:
        """Mean (2, J) and covariance (3, J) of b0, b1; what was never seen is drawn from the level above."""
        found = self._remembered.get((family, cell))
        if found is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            found = self._remembered[family, cell] = self._coefficients(family, cell)
        return found

    @cached_property
    def _remembered(self) -> dict[Leaf, tuple[FloatArray, FloatArray]]:
        return {}

    def _coefficients(self, family: str, cell: str | None) -> tuple[FloatArray, FloatArray]:
        leaves, grid = self.statistics.leaves, self.grid
        d, nodes = grid.dimensions, len(grid.sigma_index)
        nothing, no_shift = np.zeros((d * (d + 1) // 2, nodes)), np.zeros((d, nodes))
        if family not in leaves.family_place:
            mean, cov = posterior_down(nothing, no_shift, grid.family_variance, *self.above)
        else:
            index = leaves.family_place[family]
            block = family_block(self.statistics, grid, index, index + 1)
            if (family, cell) in leaves.place:
                return self.coefficients_in(block, leaves.place[family, cell] - block.leaves.start)
            mean, cov = posterior_down(block.A[:, 0], block.R[:, 0], grid.family_variance, *self.above)
        if cell is None:
            return mean, cov
        return posterior_down(nothing, no_shift, grid.cell_variance, mean, cov)

    def coefficients_in(self, block: FamilyBlock, leaf: int) -> tuple[FloatArray, FloatArray]:
        """Mean (2, J) and covariance (3, J) of b0, b1 of one leaf of a single family's block."""
        mean, cov = posterior_down(block.A[:, 0], block.R[:, 0], self.grid.family_variance, *self.above)
        if not self.statistics.leaves.in_cell[block.leaves.start + leaf]:
            return mean, cov
        at_leaf = block.leaf_precision[:, leaf], block.leaf_shift[:, leaf], self.grid.cell_variance
        return posterior_down(*at_leaf, mean, cov)

    def leaf_moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean (2, L) and covariance (3, L) of every leaf's coefficients, nodes mixed."""
        leaves = self.statistics.leaves
        means, covs = np.empty((2, len(leaves))), np.empty((3, len(leaves)))
        heavy = self.weight > NEGLIGIBLE / len(self.weight)  # in a large store a few nodes in a hundred
        nodes, weight = self.grid.only(heavy), self.weight[heavy]
        for block in family_blocks(self.statistics, nodes):
            mean, cov = self._at_leaves(block, nodes, heavy)
            means[:, block.leaves], covs[:, block.leaves] = mixed(mean, cov, weight)
        return means, covs

    def scale_moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean (d, L, K) and covariance of the leaves' coefficients at each value of the first axis.

        Nodes of next to no weight are left out, and with them values of the first axis, whose moments are then 0.
        """
        leaves, K, d = self.statistics.leaves, len(self.grid.sigma), self.grid.dimensions
        means, covs = np.zeros((d, len(leaves), K)), np.zeros((d * (d + 1) // 2, len(leaves), K))
        heavy = self.weight > LITTLE
        nodes, value = self.grid.only(heavy), self.grid.sigma_index[heavy]
        first = np.flatnonzero(np.diff(value, prepend=-1))  # a value's nodes stand together
        used, weight = value[first], self.weight[heavy]
        share = weight / np.add.reduceat(weight, first)[np.cumsum(np.diff(value, prepend=-1) > 0) - 1]
        for block in family_blocks(self.statistics, nodes):
            mean, cov = self._at_leaves(block, nodes, heavy)
            centre = np.add.reduceat(mean * share, first, axis=-1)
            off = mean - np.repeat(centre, np.diff(first, append=len(value)), axis=-1)
            spread = np.array([off[i] * off[j] for j in range(d) for i in range(j + 1)])
            means[:, block.leaves, used] = centre
            covs[:, block.leaves, used] = np.add.reduceat((cov + spread) * share, first, axis=-1)
        return means, covs

    def _at_leaves(self, block: FamilyBlock, nodes: Nodes, which: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Mean (d, l, J) and covariance of a block's leaves at the nodes ``which`` picks."""
        above = (part[:, None, which] for part in self.above)
        mean, cov = posterior_down(block.A, block.R, nodes.family_variance[:, None], *above)
        if self.statistics.leaves.in_cell[block.leaves].any():
            at_leaf = mean[:, block.family_of_leaf], cov[:, block.family_of_leaf]
            mean, cov = posterior_down(block.leaf_precision, block.leaf_shift, block.leaf_t, *at_leaf)
        return mean, cov


def mixed(mean: FloatArray, cov: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (d, ...) and covariance (d (d + 1)/2, ...) of a mixture over nodes, the last axis."""
    centre = mean @ weight
    off = mean - centre[..., None]
    spread = np.array([off[i] * off[j] for j in range(len(off)) for i in range(j + 1)])
    return centre, (cov + spread) @ weight
