"""The passes: node posterior, slopes, collapse weights in turn, until they agree (docs: LAW steps 1 to 6, part 2)."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from service.law import collapse
from service.law.evidence import log_evidence
from service.law.exposure import Exposure, GapSums
from service.law.grid import Grid
from service.law.likelihood import Beliefs, Likelihood
from service.law.links import LINEAR
from service.law.models import PUBLISHED, Model
from service.law.observations import BoolArray, FloatArray, Observations
from service.law.posterior import Posterior
from service.law.rows import Rows

PUBLISHED_PASSES = 6  # of the line alone: E[b1] needs three, the collapse weights five
FIRST_SIGMA = 0.03
FIRST_REACH = 0.9  # of the headroom: improvements beyond it say little of where to start
AVERAGED_FROM = 4  # passes: a bent link's eta would swing between two sides of its row from then on
# With fewer effective nodes the grid is too coarse for the posterior. Sigma needs its own rule: with few families the
# other axes alone hold 10 nodes, however sharp sigma is, and 4,000 points of one family left it 15 % off.
FEWEST_NODES, FEWEST_SIGMAS = 10, 3
REFINEMENTS = 3


class Stored(NamedTuple):
    """What all models of a pool see: its exposure, N rows, and which of them are known to have collapsed."""

    exposure: Exposure
    rows: Rows
    collapsed: BoolArray

    @classmethod
    def of(cls, observations: Observations) -> "Stored":
        """Look at N stored points."""
        exposure = Exposure.of(GapSums.of(observations))
        rows = Rows.of(observations, exposure)
        return cls(exposure, rows, observations.collapsed[rows.order])

    def some(self, most: int) -> "Stored":
        """About ``most`` rows, evenly from every leaf, where there are more."""
        every = -(-len(self.rows.x) // most)
        return self if every <= 1 else Stored(self.exposure, self.rows.every(every), self.collapsed[::every])

    def grid(self, model: Model, *, thin: bool) -> Grid:
        """Where a model's passes start."""
        start = Grid.thin if thin else Grid.coarse
        return start(cells=bool(self.rows.leaves.in_cell.any()), slope_spread=model.link.prior.slope_spread)


class Glance(NamedTuple):
    """A first look at a model: the values of sigma that matter, and roughly its log evidence."""

    sigma: FloatArray
    log_evidence: float


@dataclass(frozen=True, eq=False)
class Passed:
    """Where a model's passes have arrived.

    Attributes:
        model: the link and its extra variance near gap 0.
        weight: (N,) r. pi: probability of a collapse.
        beliefs: what ``likelihood`` is made with.
    """

    model: Model
    stored: Stored
    weight: FloatArray
    pi: float
    beliefs: Beliefs
    likelihood: Likelihood

    @classmethod
    def start(cls, stored: Stored, model: Model) -> "Passed":
        """Before the first pass."""
        beliefs = _first(stored.rows, model)
        weight = np.where(stored.collapsed, 0.0, 1.0)
        pi = collapse.probability(0.0, 0)
        return cls(model, stored, weight, pi, beliefs, Likelihood.of(stored.rows, model, beliefs))

    def as_start_of(self, model: Model) -> "Passed":
        """Take another model with the same link from here."""
        return replace(self, model=model, likelihood=Likelihood.of(self.stored.rows, model, self.beliefs))

    def after(self, grid: Grid, passes: int, *, collapses: bool = True) -> "Passed":
        """Pass over the rows a number of times."""
        weight, pi, beliefs, likelihood = self.weight, self.pi, self.beliefs, self.likelihood
        for number in range(passes):
            # never on a refined grid: a close look at a sigma that outliers still inflate would not find down again
            posterior = Posterior.of(likelihood.statistics(weight, grid.sigma), grid, self.model.link.prior)
            mean, cov = posterior.leaf_moments()
            if collapses:
                residual, variance, _ = collapse.leave_one_out(likelihood, weight, posterior.sigma_square, mean, cov)
                weight = collapse.weights(residual, variance, pi, self.stored.collapsed)
                pi = collapse.probability(float(weight.sum()), len(weight))
            beliefs = self._next(beliefs, posterior, mean, cov, averaged=number >= AVERAGED_FROM)
            likelihood = Likelihood.of(self.stored.rows, self.model, beliefs)
        return replace(self, weight=weight, pi=pi, beliefs=beliefs, likelihood=likelihood)

    def _next(
        self, last: Beliefs, posterior: Posterior, mean: FloatArray, cov: FloatArray, *, averaged: bool
    ) -> Beliefs:
        eta, rows = last.eta, self.stored.rows
        if self.model.link is not LINEAR:
            eta = mean[0, rows.leaf] + mean[1, rows.leaf] * rows.x
            eta = 0.5 * (eta + last.eta) if averaged else eta
        return Beliefs(mean[1], mean[1] ** 2 + cov[2], posterior.sigma_square, eta)

    def integrated(self, start: Grid, sigma: FloatArray | None = None) -> tuple[Posterior, float]:
        """Refine a grid until it resolves the posterior; and the log evidence.

        Args:
            start: spans the whole prior.
            sigma: where a first look has found sigma.
        """
        prior, families = self.model.link.prior, False
        grid = start if sigma is None else replace(start, sigma=sigma)
        posterior = Posterior.of(self.likelihood.statistics(self.weight, grid.sigma), grid, prior)
        for _ in range(REFINEMENTS):
            few = posterior.effective_nodes < FEWEST_NODES
            if not few and posterior.effective_sigmas >= FEWEST_SIGMAS:
                break
            families = families or few
            grid = grid.refined(posterior.weight, families=families)
            posterior = Posterior.of(self.likelihood.statistics(self.weight, grid.sigma), grid, prior)
        return posterior, log_evidence(posterior, start, self.weight, self.pi)

    def glanced(self) -> Glance:
        """Integrate over a thin grid."""
        posterior, evidence = self.integrated(self.stored.grid(self.model, thin=True))
        return Glance(posterior.grid.sigma, evidence)

    def fitted(self, sigma: FloatArray | None = None, *, thin: bool = False) -> "Fit":
        """Integrate over the whole grid, or a thin one; ``sigma`` as for ``integrated``."""
        posterior, evidence = self.integrated(self.stored.grid(self.model, thin=thin), sigma)
        posterior = posterior.pruned()
        return Fit(
            self.model,
            self.stored.exposure,
            self.likelihood,
            self.weight,
            self.pi,
            self.beliefs,
            posterior,
            *posterior.leaf_moments(),
            evidence,
        )


@dataclass(frozen=True, eq=False)
class Fit:
    """A model's fit and its rows, in the rows' own order.

    Attributes:
        model: the link and its extra variance near gap 0.
        likelihood: of the rows, as the last pass saw them. weight: (N,) r. pi: probability of a collapse.
        beliefs: what ``likelihood`` was made with.
        mean, cov: (2, L) and (3, L) the leaves' coefficients.
        log_evidence: log marginal likelihood of the stored improvements, comparable between models.
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
    log_evidence: float

    @property
    def rows(self) -> Rows:
        """The N rows."""
        return self.likelihood.rows

    @property
    def residual_variance(self) -> FloatArray:
        """(N,) D at the posterior mean of sigma^2."""
        return self.likelihood.variance(self.posterior.sigma_square)


def fit(
    observations: Observations, model: Model = PUBLISHED, *, passes: int | None = None, collapses: bool = True
) -> Fit:
    """Fit one model; no observations at all leave its prior.

    Args:
        observations: N stored points, each with a baseline where the link is bent.
        model: what to fit.
        passes: the link's own unless given, and 6 for the published line; the last only integrates.
        collapses: whether a run may be one that collapsed; if not, r = 1.
    """
    return fit_stored(Stored.of(observations), model, passes=passes, collapses=collapses)


def fit_stored(stored: Stored, model: Model, *, passes: int | None = None, collapses: bool = True) -> Fit:
    """Fit one model on the whole grid, as ``fit`` does."""
    if passes is None:
        passes = PUBLISHED_PASSES if model == PUBLISHED else model.link.passes
    arrived = Passed.start(stored, model).after(stored.grid(model, thin=False), passes - 1, collapses=collapses)
    return arrived.fitted()


def _first(rows: Rows, model: Model) -> Beliefs:
    link = model.link
    slope = np.full(len(rows.leaves), link.prior.slope_mean)
    eta = rows.y
    if link is not LINEAR:
        seen = link.inverse(np.minimum(rows.y, FIRST_REACH * rows.headroom), rows.headroom)
        eta = 0.5 * (link.prior.slope_mean * rows.x + seen)
    return Beliefs(slope, slope**2, FIRST_SIGMA**2, eta)
