"""The passes: node posterior, slopes and collapse weights in turn, until they agree (docs: LAW steps 1 to 6, part 2)."""

from dataclasses import dataclass

import numpy as np

from service.law import collapse
from service.law.exposure import Exposure, GapSums
from service.law.grid import Grid
from service.law.likelihood import Beliefs, Likelihood
from service.law.links import LINEAR
from service.law.models import PUBLISHED, Model
from service.law.observations import BoolArray, FloatArray, Observations
from service.law.posterior import Posterior
from service.law.rows import Rows

FIRST_SIGMA = 0.03
FIRST_REACH = 0.9  # of the headroom: improvements beyond it say little of where to start
AVERAGED_FROM = 4  # passes: a bent link's eta would swing between two sides of its row from then on
# With fewer effective nodes the grid is too coarse for the posterior. Sigma needs its own rule: with few families the
# other axes alone hold 10 nodes, however sharp sigma is, and 4,000 points of one family left it 15 % off.
FEWEST_NODES, FEWEST_SIGMAS = 10, 3
REFINEMENTS = 3


@dataclass(frozen=True, eq=False)
class Fit:
    """A model's fit and its rows, in the rows' own order.

    Attributes:
        model: the link and its extra variance near gap 0.
        likelihood: of the rows, as the last pass saw them. weight: (N,) r. pi: probability of a collapse.
        beliefs: what ``likelihood`` was made with.
        mean, cov: (2, L) and (3, L) the leaves' coefficients.
    """

    model: Model
    exposure: Exposure
    likelihood: Likelihood
    weight: FloatArray
    pi: float
    beliefs: Beliefs
    posterior: Posterior
    mean: FloatArray
    cov: FloatArray

    @property
    def rows(self) -> Rows:
        """The N rows."""
        return self.likelihood.rows

    @property
    def residual_variance(self) -> FloatArray:
        """(N,) D at the posterior mean of sigma^2."""
        return self.likelihood.variance(self.posterior.sigma_square)

    @property
    def log_evidence(self) -> float:
        """Log marginal likelihood of the stored improvements, collapse included: comparable between models."""
        r, posterior = self.weight, self.posterior
        log_weight, prior = posterior.log_weight, posterior.prior
        top = log_weight.max()
        population = 0.5 * (np.log(prior.precision) - prior.precision * prior.mean**2).sum()
        open_r = r[(r > 0) & (r < 1)]
        entropy = -np.sum(open_r * np.log(open_r) + (1 - open_r) * np.log1p(-open_r))
        membership = np.sum(r * np.log1p(-self.pi) + (1 - r) * np.log(self.pi))
        normal = -0.5 * np.log(2 * np.pi) * r.sum()
        whole = Grid.coarse(cells=bool(posterior.grid.rho.any()), slope_spread=prior.slope_spread).log_mass
        return float(top + np.log(np.exp(log_weight - top).sum()) - whole + population + normal + membership + entropy)


def fit(
    observations: Observations, model: Model = PUBLISHED, *, passes: int | None = None, collapses: bool = True
) -> Fit:
    """Fit one model; no observations at all leave its prior.

    Args:
        observations: N stored points, each with a baseline where the link is bent.
        model: what to fit.
        passes: the link's own unless given.
        collapses: whether a run may be one that collapsed; if not, r = 1.
    """
    exposure = Exposure.of(GapSums.of(observations))
    rows = Rows.of(observations, exposure)
    return fit_rows(rows, exposure, observations.collapsed[rows.order], model, passes=passes, collapses=collapses)


def fit_rows(
    rows: Rows,
    exposure: Exposure,
    collapsed: BoolArray,
    model: Model,
    *,
    passes: int | None = None,
    collapses: bool = True,
) -> Fit:
    """Fit one model to rows that several share; ``collapsed`` says of each whether it is known to be."""
    link = model.link
    weight = np.where(collapsed, 0.0, 1.0)
    pi = collapse.probability(0.0, 0)
    beliefs = _first(rows, model)
    grid = Grid.coarse(cells=bool(rows.leaves.in_cell.any()), slope_spread=link.prior.slope_spread)
    for number in range((passes or link.passes) - 1):
        # on the coarse grid: a close look at a sigma that outliers still inflate would never find the way down again
        likelihood = Likelihood.of(rows, model, beliefs)
        posterior = Posterior.of(likelihood.statistics(weight, grid.sigma), grid, link.prior)
        mean, cov = posterior.leaf_moments()
        if collapses:
            residual, variance, _ = collapse.leave_one_out(likelihood, weight, posterior.sigma_square, mean, cov)
            weight = collapse.weights(residual, variance, pi, collapsed)
            pi = collapse.probability(float(weight.sum()), len(weight))
        beliefs = _next(rows, model, beliefs, posterior, mean, cov, averaged=number >= AVERAGED_FROM)
    likelihood = Likelihood.of(rows, model, beliefs)
    posterior = _integrated(likelihood, weight, grid, model)
    return Fit(model, exposure, likelihood, weight, pi, beliefs, posterior, *posterior.leaf_moments())


def _first(rows: Rows, model: Model) -> Beliefs:
    link = model.link
    slope = np.full(len(rows.leaves), link.prior.slope_mean)
    eta = rows.y
    if link is not LINEAR:
        seen = link.inverse(np.minimum(rows.y, FIRST_REACH * rows.headroom), rows.headroom)
        eta = 0.5 * (link.prior.slope_mean * rows.x + seen)
    return Beliefs(slope, slope**2, FIRST_SIGMA**2, eta)


def _next(
    rows: Rows, model: Model, last: Beliefs, posterior: Posterior, mean: FloatArray, cov: FloatArray, *, averaged: bool
) -> Beliefs:
    eta = last.eta
    if model.link is not LINEAR:
        eta = mean[0, rows.leaf] + mean[1, rows.leaf] * rows.x
        eta = 0.5 * (eta + last.eta) if averaged else eta
    return Beliefs(mean[1], mean[1] ** 2 + cov[2], posterior.sigma_square, eta)


def _integrated(likelihood: Likelihood, weight: FloatArray, grid: Grid, model: Model) -> Posterior:
    """Refine the grid until it resolves the posterior."""
    prior = model.link.prior
    posterior = Posterior.of(likelihood.statistics(weight, grid.sigma), grid, prior)
    families = False
    for _ in range(REFINEMENTS):
        few = posterior.effective_nodes < FEWEST_NODES
        if not few and posterior.effective_sigmas >= FEWEST_SIGMAS:
            break
        families = families or few
        grid = grid.refined(posterior.weight, families=families)
        posterior = Posterior.of(likelihood.statistics(weight, grid.sigma), grid, prior)
    return posterior.pruned()
