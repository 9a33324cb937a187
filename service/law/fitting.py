"""The passes: node posterior, slopes, collapse weights in turn, until they agree (docs: LAW steps 1 to 6, part 2)."""

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from service.law import collapse, effects
from service.law.collapse import Fitted
from service.law.contexts import shared
from service.law.effects import ConfigurationSums
from service.law.evidence import log_evidence
from service.law.exposure import Exposure, GapSums
from service.law.grid import FEWEST_VALUES, Grid
from service.law.hierarchy import place
from service.law.likelihood import Beliefs, Likelihood
from service.law.links import LINEAR
from service.law.models import PUBLISHED, Model
from service.law.observations import BoolArray, FloatArray, Observations
from service.law.posterior import Posterior, mixed
from service.law.priors import Prior
from service.law.rows import Rows, Statistics

PUBLISHED_PASSES = 6  # of the line alone: E[b1] needs three, the collapse weights five
FIRST_SIGMA = 0.03
FIRST_REACH = 0.9  # of the headroom: improvements beyond it say little of where to start
AVERAGED_FROM = 4  # passes: a bent link's eta would swing between two sides of its row from then on
# With fewer effective nodes the grid is too coarse for the posterior. Sigma needs its own rule: with few families the
# other axes alone hold 10 nodes, however sharp sigma is, and 4,000 points of one family left it 15 % off.
FEWEST_NODES, FEWEST_SIGMAS = 10, FEWEST_VALUES
REFINEMENTS = 3
CONTEXT_PASSES = 7
NARROWED = {0: 1e-8, 2: 1e-5, 4: 1e-5}
"""least weight of triples of scales that a pass keeps, by the passes that look at all of them"""
LEAST = 1e-6
"""the same at the end"""
FEWEST_TRIPLES = 20
"""as few are all kept: leaving some out would not pay"""


class Stored(NamedTuple):
    """What all models of a pool see: its exposure, N rows, and which of them are known to have collapsed."""

    exposure: Exposure
    rows: Rows
    collapsed: BoolArray

    @classmethod
    def of(
        cls,
        observations: Observations,
        lent: Observations | None = None,
        *,
        dilution: bool = False,
        contexts: bool = True,
    ) -> "Stored":
        """Look at stored points, and at those that another pool lends, N together.

        Contexts are a level where one of them has two rows, unless not ``contexts``; ``dilution`` then counts where
        every row's gap spread is known.
        """
        exposure = Exposure.of(GapSums.of(observations))
        every = observations if lent is None else Observations.joined([observations, lent])
        level = contexts and shared(every)
        dilutes = level and dilution and not np.isnan(every.gap_spread).any()
        rows = Rows.of(observations, exposure, lent=lent, contexts=level, dilutes=bool(dilutes))
        return cls(exposure, rows, every.collapsed[rows.order])

    @property
    def context_level(self) -> bool:
        """True if contexts are a level."""
        return self.rows.contexts is not None

    def some(self, most: int) -> "Stored":
        """About ``most`` rows, evenly from every leaf, where there are more."""
        every = -(-len(self.rows.x) // most)
        return self if every <= 1 else Stored(self.exposure, self.rows.every(every), self.collapsed[::every])

    def grid(self, model: Model, *, thin: bool) -> Grid:
        """Where a model's passes start."""
        cells = bool(self.rows.leaves.in_cell.any())
        return _start(model.link.prior.slope_spread, cells, thin, self.context_level, self.rows.dilutes)

    def passes(self, model: Model) -> int:
        """How many a model takes among others, the last of which only integrates."""
        return CONTEXT_PASSES if self.context_level else model.link.passes


@cache
def _start(slope_spread: float, cells: bool, thin: bool, contexts: bool, dilutes: bool) -> Grid:
    start = (Grid.thin if thin else Grid.coarse)(cells=cells, slope_spread=slope_spread)
    return start.with_contexts(dilutes=dilutes) if contexts else start


class Glance(NamedTuple):
    """A first look at a model: the values on the grid's first axis that matter, and roughly its log evidence."""

    grid: Grid
    log_evidence: float


class Integrated(NamedTuple):
    """A posterior over a grid; where contexts are a level, with the sums of configurations that it rests on."""

    posterior: Posterior
    sums: ConfigurationSums | None = None

    @classmethod
    def of(
        cls, likelihood: Likelihood, weight: FloatArray, grid: Grid, prior: Prior, least: float | None = None
    ) -> "Integrated":
        """Integrate; where contexts are a level, first leave out the triples of less weight than ``least``."""
        rows, scales = likelihood.rows, grid.scales
        if scales is None or rows.contexts is None:
            return cls(Posterior.of(likelihood.statistics(weight, grid.sigma), grid, prior))
        sums, by_sigma = likelihood.configuration_sums(rows.contexts, weight, scales.sigmas)
        A, R, factor = effects.to_leaves(sums, rows.contexts, rows.leaves, scales)
        statistics = Statistics(rows.leaves, A, R, by_sigma[scales.sigma_index] + factor)
        if least is not None and len(scales) > FEWEST_TRIPLES:
            keep = Posterior.of(statistics, grid.outline(), prior).scale_weight > least
            kept = scales.kept(keep)
            statistics, grid = statistics.of_scales(keep), grid.of_scales(kept)
            sums = sums.only(np.searchsorted(scales.sigmas, kept.sigmas))
        return cls(Posterior.of(statistics, grid, prior), sums)

    def moments(self, likelihood: Likelihood) -> tuple[FloatArray, FloatArray, Fitted]:
        """Mean and covariance of the leaves' coefficients, and where the rows stand."""
        rows, scales, sums, posterior = likelihood.rows, self.posterior.grid.scales, self.sums, self.posterior
        if scales is None or rows.contexts is None or sums is None:
            mean, cov = posterior.leaf_moments()
            return mean, cov, collapse.on_the_line(likelihood, mean, cov)
        leaf_mean, leaf_cov = posterior.scale_moments()
        # values that hold next to nothing have no moments
        share = np.where((leaf_cov[2] > 0).any(axis=0), posterior.scale_weight, 0.0)
        share = share / share.sum()
        zeta = rows.zeta(likelihood.effect)
        eta, variance, with_slope = np.empty((3, len(rows.x)))
        for some, configurations in rows.contexts.blocks(max(effects.CHUNK // len(scales), 1)):
            effect = effects.of_configurations(sums.take(configurations), rows.contexts, some, scales)
            leaf = rows.contexts.leaf[rows.contexts.context[configurations]]
            mean, cov = mixed(*effects.joined(leaf_mean[:, leaf], leaf_cov[:, leaf], effect), share)
            first, last = np.searchsorted(rows.configuration, [configurations.start, configurations.stop])
            own = rows.configuration[first:last] - configurations.start
            at = zeta[:, first:last]
            eta[first:last] = (mean[:, own] * at).sum(axis=0)
            variance[first:last] = effects.quadratic(cov[:, own], at)
            with_slope[first:last] = sum(cov[place(1, j), own] * at[j] for j in range(len(at)))
        return *mixed(leaf_mean, leaf_cov, share), Fitted(eta, variance, with_slope)


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
        own = self.stored.rows.is_own
        prior, narrow = self.model.link.prior, grid
        for number in range(passes):
            # never on a refined grid: a close look at a sigma that outliers still inflate would not find down again
            least = NARROWED.get(number)
            found = Integrated.of(likelihood, weight, narrow if least is None else grid, prior, least)
            posterior, narrow = found.posterior, found.posterior.grid
            mean, cov, fitted = found.moments(likelihood)
            if collapses:
                residual, variance, _ = collapse.leave_one_out(likelihood, weight, posterior.sigma_square, fitted)
                weight = collapse.weights(residual, variance, pi, self.stored.collapsed)
                pi = collapse.probability(float(weight[own].sum()), int(own.sum()))
            beliefs = self._next(beliefs, posterior, mean, cov, averaged=number >= AVERAGED_FROM)
            likelihood = Likelihood.of(self.stored.rows, self.model, beliefs)
        return replace(self, weight=weight, pi=pi, beliefs=beliefs, likelihood=likelihood)

    def _next(
        self, last: Beliefs, posterior: Posterior, mean: FloatArray, cov: FloatArray, *, averaged: bool
    ) -> Beliefs:
        eta, rows = last.eta, self.stored.rows
        if self.model.link is not LINEAR:
            eta = mean[0, rows.leaf] + mean[1, rows.leaf] * rows.x
            if rows.dilutes:
                eta = eta + mean[2, rows.leaf] * rows.dilution
            eta = 0.5 * (eta + last.eta) if averaged else eta
        sigma_square = posterior.sigma_square + posterior.tau_square
        return Beliefs(mean[1], mean[1] ** 2 + cov[2], sigma_square, eta)

    def integrated(self, start: Grid, seen: Grid | None = None) -> tuple[Integrated, float]:
        """Refine a grid until it resolves the posterior; and the log evidence.

        Args:
            start: spans the whole prior.
            seen: where a first look has found sigma.
        """
        prior, families = self.model.link.prior, False
        grid = start if seen is None else replace(start, sigma=seen.sigma, scales=seen.scales)
        found = Integrated.of(self.likelihood, self.weight, grid, prior, LEAST)
        for _ in range(REFINEMENTS):
            posterior = found.posterior
            few = posterior.effective_nodes < FEWEST_NODES
            if not few and min(posterior.effective_sigmas, posterior.effective_taus) >= FEWEST_SIGMAS:
                break
            families = families or few
            grid = posterior.grid.refined(posterior.weight, families=families)
            found = Integrated.of(self.likelihood, self.weight, grid, prior, LEAST)
        return found, log_evidence(found.posterior, start, self.weight, self.pi)

    def glanced(self) -> Glance:
        """Integrate over a thin grid."""
        found, evidence = self.integrated(self.stored.grid(self.model, thin=True))
        return Glance(found.posterior.grid, evidence)

    def fitted(self, seen: Grid | None = None, *, thin: bool = False) -> "Fit":
        """Integrate over the whole grid, or a thin one; ``seen`` as for ``integrated``."""
        found, evidence = self.integrated(self.stored.grid(self.model, thin=thin), seen)
        found = found._replace(posterior=found.posterior.pruned())
        mean, cov, fitted = found.moments(self.likelihood)
        return Fit(
            self.model,
            self.stored.exposure,
            self.likelihood,
            self.weight,
            self.pi,
            self.beliefs,
            found.posterior,
            mean,
            cov,
            fitted,
            evidence,
            found.sums,
        )


@dataclass(frozen=True, eq=False)
class Fit:
    """A model's fit and its rows, in the rows' own order.

    Attributes:
        model: the link and its extra variance near gap 0.
        likelihood: of the rows, as the last pass saw them. weight: (N,) r. pi: probability of a collapse.
        beliefs: what ``likelihood`` was made with.
        mean, cov: (d, L) and (d (d + 1)/2, L) the leaves' coefficients.
        fitted: where the rows stand: on their leaf's line, and with their own context where that is a level.
        log_evidence: log marginal likelihood of the stored improvements, comparable between models.
        sums: of configurations, where contexts are a level.
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
    fitted: Fitted
    log_evidence: float
    sums: ConfigurationSums | None = None

    @property
    def rows(self) -> Rows:
        """The N rows."""
        return self.likelihood.rows

    @property
    def residual_variance(self) -> FloatArray:
        """(N,) D at the posterior mean of sigma^2."""
        return self.likelihood.variance(self.posterior.sigma_square)

    def leave_one_out(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compare each row with what the others say of it, as ``collapse.leave_one_out`` does."""
        return collapse.leave_one_out(self.likelihood, self.weight, self.posterior.sigma_square, self.fitted)


def fit(
    observations: Observations,
    model: Model = PUBLISHED,
    *,
    passes: int | None = None,
    collapses: bool = True,
    contexts: bool = True,
) -> Fit:
    """Fit one model; no observations at all leave its prior.

    Args:
        observations: N stored points, each with a baseline where the link is bent.
        model: what to fit.
        passes: the link's own unless given, and 6 for the published line; the last only integrates.
        collapses: whether a run may be one that collapsed; if not, r = 1.
        contexts: whether contexts are a level where one of them has two rows.
    """
    return fit_stored(Stored.of(observations, contexts=contexts), model, passes=passes, collapses=collapses)


def fit_stored(stored: Stored, model: Model, *, passes: int | None = None, collapses: bool = True) -> Fit:
    """Fit one model on the whole grid, as ``fit`` does."""
    if passes is None:
        alone = model == PUBLISHED and not stored.context_level
        passes = PUBLISHED_PASSES if alone else stored.passes(model)
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
