"""The passes: node posterior, slopes and collapse weights in turn, until they agree (docs: LAW steps 1 to 6)."""

from dataclasses import dataclass

import numpy as np

from service.law import collapse
from service.law.exposure import Exposure, GapSums
from service.law.grid import Grid
from service.law.observations import FloatArray, Observations
from service.law.posterior import PRIOR_MEAN, PRIOR_PRECISION, Posterior
from service.law.rows import Rows

PASSES = 6  # E[b1] needs three, the collapse weights five
# With fewer effective nodes the grid is too coarse for the posterior. Sigma needs its own rule: with few families the
# other axes alone hold 10 nodes, however sharp sigma is, and 4,000 points of one family left it 15 % off.
FEWEST_NODES, FEWEST_SIGMAS = 10, 3
REFINEMENTS = 3


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit and its rows, in the rows' own order.

    Attributes:
        known_variance: (N,) D less sigma^2. weight: (N,) r. pi: probability of a collapse.
        slope, slope_square: (L,) the E[b1] and E[b1^2] that ``known_variance`` was made with.
        mean, cov: (2, L) and (3, L) the leaves' coefficients.
    """

    exposure: Exposure
    rows: Rows
    known_variance: FloatArray
    weight: FloatArray
    pi: float
    slope: FloatArray
    slope_square: FloatArray
    posterior: Posterior
    mean: FloatArray
    cov: FloatArray

    @property
    def residual_variance(self) -> FloatArray:
        """(N,) D at the posterior mean of sigma^2."""
        return self.posterior.sigma_square + self.known_variance

    @property
    def log_evidence(self) -> float:
        """Log marginal likelihood of the stored improvements, collapse included."""
        r = self.weight
        log_weight = self.posterior.log_weight
        top = log_weight.max()
        prior = 0.5 * (np.log(PRIOR_PRECISION) - PRIOR_PRECISION * PRIOR_MEAN**2).sum()
        open_r = r[(r > 0) & (r < 1)]
        entropy = -np.sum(open_r * np.log(open_r) + (1 - open_r) * np.log1p(-open_r))
        membership = np.sum(r * np.log1p(-self.pi) + (1 - r) * np.log(self.pi))
        normal = -0.5 * np.log(2 * np.pi) * r.sum()
        return float(top + np.log(np.exp(log_weight - top).sum()) + prior + normal + membership + entropy)


def fit(observations: Observations) -> Fit:
    """Fit the linear law; no observations at all leave the prior."""
    exposure = Exposure.of(GapSums.of(observations))
    rows = Rows.of(observations, exposure)
    known_collapsed = observations.collapsed[rows.order]
    weight = np.where(known_collapsed, 0.0, 1.0)
    pi = collapse.probability(0.0, 0)
    slope = np.full(len(rows.leaves), PRIOR_MEAN[1])
    slope_square = slope**2
    grid = Grid.coarse(cells=bool(rows.leaves.in_cell.any()))
    for _ in range(PASSES - 1):
        # on the coarse grid: a close look at a sigma that outliers still inflate would never find the way down again
        known = rows.known_variance(slope, slope_square)
        posterior = Posterior.of(rows.statistics(known, weight, grid.sigma), grid)
        mean, cov = posterior.leaf_moments()
        residual, variance, _ = collapse.leave_one_out(rows, weight, posterior.sigma_square + known, mean, cov)
        weight = collapse.weights(residual, variance, pi, known_collapsed)
        pi = collapse.probability(float(weight.sum()), len(weight))
        slope, slope_square = mean[1], mean[1] ** 2 + cov[2]
    known = rows.known_variance(slope, slope_square)
    posterior = _integrated(rows, known, weight, grid)
    return Fit(exposure, rows, known, weight, pi, slope, slope_square, posterior, *posterior.leaf_moments())


def _integrated(rows: Rows, known: FloatArray, weight: FloatArray, grid: Grid) -> Posterior:
    """Refine the grid until it resolves the posterior."""
    posterior = Posterior.of(rows.statistics(known, weight, grid.sigma), grid)
    families = False
    for _ in range(REFINEMENTS):
        few = posterior.effective_nodes < FEWEST_NODES
        if not few and posterior.effective_sigmas >= FEWEST_SIGMAS:
            break
        families = families or few
        grid = grid.refined(posterior.weight, families=families)
        posterior = Posterior.of(rows.statistics(known, weight, grid.sigma), grid)
    return posterior.pruned()
