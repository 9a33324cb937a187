"""The passes: node posterior, slopes, collapse weights in turn, until they agree (docs: LAW steps 1 to 6, part 2)."""

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from service.law import collapse, effects
from service.law.collapse import LeftOut, Runs
from service.law.contexts import shared
from service.law.effects import ConfigurationSums
from service.law.evidence import log_evidence
from service.law.exposure import Exposure, GapSums
from service.law.grid import FEWEST_VALUES, Grid
from service.law.hierarchy import line, place
from service.law.likelihood import Beliefs, Likelihood
from service.law.links import LINEAR
from service.law.models import PUBLISHED, Model
from service.law.observations import BoolArray, FloatArray, Observations
from service.law.posterior import Posterior, mixed
from service.law.priors import Prior
from service.law.rows import Rows, Statistics
from service.law.spreads import Spreads

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

    def moments(self, likelihood: Likelihood, weight: FloatArray) -> "Moments":
        """Look at leaves and rows, which have collapse weights r ``weight`` (N,)."""
        rows, scales, sums, posterior = likelihood.rows, self.posterior.grid.scales, self.sums, self.posterior
        runs = Runs(likelihood.gradient, likelihood.response, weight)
        if scales is None or rows.contexts is None or sums is None:
            mean, cov = posterior.leaf_moments()
            eta, eta_var = line(mean[:, rows.leaf], cov[:, rows.leaf], rows.x)
            left_out = collapse.leave_one_out(runs, eta, eta_var, likelihood.variance(posterior.sigma_square))
            return Moments(mean, cov, left_out, cov[1, rows.leaf] + cov[2, rows.leaf] * rows.x)
        leaf_mean, leaf_cov = posterior.scale_moments()
        used = (leaf_cov[2] > 0).any(axis=0)  # triples that hold next to nothing have no moments
        leaf_mean, leaf_cov, kept = leaf_mean[..., used], leaf_cov[..., used], scales.kept(used)
        sums = sums.only(np.searchsorted(scales.sigmas, kept.sigmas))
        spreads = Spreads.of(kept, posterior.scale_weight[used])
        share, sigma_square = spreads.share, spreads.sigma_square[:, None]
        zeta, parts, with_slope = rows.zeta(likelihood.effect), [], np.empty(len(rows.x))
        for some, configurations in rows.contexts.blocks(max(effects.CHUNK // len(kept), 1)):
            effect = effects.of_configurations(sums.take(configurations), rows.contexts, some, kept)
            leaf = rows.contexts.leaf[rows.contexts.context[configurations]]
            mean, cov = spreads.mixed(*effects.joined(leaf_mean[:, leaf], leaf_cov[:, leaf], effect))
            these = slice(*np.searchsorted(rows.configuration, [configurations.start, configurations.stop]))
            own = rows.configuration[these] - configurations.start
            mean, cov, at = mean[:, own], cov[:, own], zeta[:, these, None]
            eta = (mean * at).sum(axis=0)
            variance = sigma_square * likelihood.scatter[these] + likelihood.known[these]
            of_block = Runs(*(part[these] for part in runs)), eta.T, effects.quadratic(cov, at).T, variance
            parts.append(collapse.leave_one_out_of_mixture(*of_block, share))
            inside = sum(cov[place(1, j)] * at[j] for j in range(len(at)))
            off = eta - (eta @ share)[:, None]
            with_slope[these] = (inside + mean[1] * off) @ share
        left_out = LeftOut(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        return Moments(*mixed(leaf_mean, leaf_cov, spreads.weight), left_out, with_slope)


class Moments(NamedTuple):
    """What a pass leaves.

    Attributes:
        mean, cov: (d, L) and (d (d + 1)/2, L) the leaves' coefficients.
        left_out: N rows against the others.
        with_slope: (N,) covariance of a row's eta with its leaf's slope.
    """

    mean: FloatArray
    cov: FloatArray
    left_out: LeftOut
    with_slope: FloatArray


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
            mean, cov, left_out, _ = found.moments(likelihood, weight)
            if collapses:
                weight = collapse.weights(left_out.log_density, pi, self.stored.collapsed)
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
        mean, cov, left_out, with_slope = found.moments(self.likelihood, self.weight)
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
            left_out,
            with_slope,
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
        left_out: each row against what the others say of it, those of its own context too where that is a level.
        with_slope: (N,) covariance of a row's eta with its leaf's slope.
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
    left_out: LeftOut
    with_slope: FloatArray
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
