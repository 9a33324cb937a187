"""Posterior of the spreads and, given them, of all coefficients (docs: LAW steps 4 and 7).

J nodes of the grid, L leaves, F families.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import logsumexp

from service.law.grid import Grid
from service.law.hierarchy import message_up, posterior_down
from service.law.leaves import IndexArray
from service.law.observations import FloatArray
from service.law.rows import Statistics

PRIOR_MEAN = np.array([0.0, 1.2])  # published slopes: 1.492, 1.508, .663
PRIOR_PRECISION = np.array([0.02**-2, 0.5**-2])
CHUNK = 60_000  # leaf-node pairs at a time: a dozen arrays of this size stay in a core's cache


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

    def __sub__(self, other: "Totals") -> "Totals":
        return Totals(self.W - other.W, self.u - other.u, self.log_factor - other.log_factor)


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


def family_blocks(statistics: Statistics, grid: Grid) -> Iterator[FamilyBlock]:
    """Families' information at every node, cells' messages summed, in blocks that fit the cache."""
    start = statistics.leaves.family_start
    nodes = len(grid.sigma_index)
    first = 0
    while first < len(start) - 1:
        last = max(first + 1, int(np.searchsorted(start, start[first] + CHUNK // nodes, side="right")) - 1)
        yield family_block(statistics, grid, first, last)
        first = last


def family_block(statistics: Statistics, grid: Grid, first: int, last: int) -> FamilyBlock:
    """Families ``first`` to ``last`` (exclusive) at every node."""
    start = statistics.leaves.family_start
    leaves = slice(int(start[first]), int(start[last]))
    leaf_precision = statistics.A[:, leaves][:, :, grid.sigma_index]
    leaf_shift = statistics.R[:, leaves][:, :, grid.sigma_index]
    leaf_t = grid.cell_variance[:, None] * statistics.leaves.in_cell[leaves, None]
    A, R, log_factor = leaf_precision, leaf_shift, np.zeros(leaf_shift.shape[1:])
    if statistics.leaves.in_cell[leaves].any():  # otherwise a leaf is its family, which saves a third of the time
        begin = start[first:last] - start[first]
        messages = message_up(leaf_precision, leaf_shift, leaf_t)
        A, R, log_factor = (np.add.reduceat(part, begin, axis=-2) for part in messages)
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
    return Totals(W.sum(axis=1), u.sum(axis=1), (log_factor + block.log_factor).sum(axis=0))


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior of everything, node by node."""

    grid: Grid
    statistics: Statistics
    totals: Totals

    @classmethod
    def of(cls, statistics: Statistics, grid: Grid) -> "Posterior":
        """Integrate the coefficients out at every node."""
        nodes = len(grid.sigma_index)
        totals = Totals(np.zeros((3, nodes)), np.zeros((2, nodes)), np.zeros(nodes))
        for block in family_blocks(statistics, grid):
            totals += block_totals(block, grid)
        return cls(grid, statistics, totals)

    @cached_property
    def precision(self) -> FloatArray:
        """(3, J) Lambda."""
        return np.asarray(self.totals.W + np.array([[PRIOR_PRECISION[0]], [0.0], [PRIOR_PRECISION[1]]]))

    @cached_property
    def shift(self) -> FloatArray:
        """(2, J) U."""
        return np.asarray(self.totals.u + (PRIOR_PRECISION * PRIOR_MEAN)[:, None])

    @cached_property
    def population(self) -> tuple[FloatArray, FloatArray]:
        """Mean (2, J) and covariance (3, J) of mu: Lambda^-1 U and Lambda^-1."""
        a, b, d = self.precision
        p, q = self.shift
        cov = np.stack([d, -b, a]) / (a * d - b * b)
        return np.stack([cov[0] * p + cov[1] * q, cov[1] * p + cov[2] * q]), cov

    @cached_property
    def log_weight(self) -> FloatArray:
        """(J,) log w of LAW step 4, up to constants that all nodes share."""
        a, b, d = self.precision
        quadratic = (self.shift * self.population[0]).sum(axis=0)
        likelihood = self.statistics.log_factor[self.grid.sigma_index] + self.totals.log_factor
        return np.asarray(self.grid.log_prior + likelihood + 0.5 * (quadratic - np.log(a * d - b * b)))

    @cached_property
    def weight(self) -> FloatArray:
        """(J,) posterior probability of each node."""
        return np.asarray(np.exp(self.log_weight - logsumexp(self.log_weight)))

    @property
    def effective_nodes(self) -> float:
        """1 / sum w^2."""
        return float(1 / np.sum(self.weight**2))

    @property
    def effective_sigmas(self) -> float:
        """The same for sigma's own weights."""
        return float(1 / np.sum(self.weight.reshape(self.grid.shape).sum(axis=(1, 2, 3)) ** 2))

    @property
    def sigma_square(self) -> float:
        """Posterior mean of sigma^2."""
        return float(self.weight @ self.grid.sigma[self.grid.sigma_index] ** 2)

    def coefficients(self, family: str, cell: str | None) -> tuple[FloatArray, FloatArray]:
        """Mean (2, J) and covariance (3, J) of b0, b1; what was never seen is drawn from the level above."""
        statistics, grid = self.statistics, self.grid
        nothing = np.zeros((3, len(grid.sigma_index)))
        A, R, leaf_precision, leaf_shift = nothing, nothing[:2], nothing, nothing[:2]
        if family in statistics.leaves.family_place:
            index = statistics.leaves.family_place[family]
            block = family_block(statistics, grid, index, index + 1)
            A, R = block.A[:, 0], block.R[:, 0]
            if (family, cell) in statistics.leaves.place:
                leaf = statistics.leaves.place[family, cell] - block.leaves.start
                leaf_precision, leaf_shift = block.leaf_precision[:, leaf], block.leaf_shift[:, leaf]
        mean, cov = posterior_down(A, R, grid.family_variance, *self.population)
        if cell is None:
            return mean, cov
        return posterior_down(leaf_precision, leaf_shift, grid.cell_variance, mean, cov)

    def leaf_moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean (2, L) and covariance (3, L) of every leaf's coefficients, nodes mixed."""
        L = len(self.statistics.leaves)
        means, covs = np.empty((2, L)), np.empty((3, L))
        population_mean, population_cov = (part[:, None] for part in self.population)
        for block in family_blocks(self.statistics, self.grid):
            t = self.grid.family_variance[:, None]
            mean, cov = posterior_down(block.A, block.R, t, population_mean, population_cov)
            if self.statistics.leaves.in_cell[block.leaves].any():
                at_leaf = mean[:, block.family_of_leaf], cov[:, block.family_of_leaf]
                mean, cov = posterior_down(block.leaf_precision, block.leaf_shift, block.leaf_t, *at_leaf)
            means[:, block.leaves], covs[:, block.leaves] = mixed(mean, cov, self.weight)
        return means, covs


def mixed(mean: FloatArray, cov: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (2, ...) and covariance (3, ...) of a mixture over nodes, the last axis."""
    centre = mean @ weight
    off = mean - centre[..., None]
    spread = np.stack([off[0] ** 2, off[0] * off[1], off[1] ** 2])
    return centre, (cov + spread) @ weight
