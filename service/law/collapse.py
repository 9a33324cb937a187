"""Runs that collapse: a second component that an outlier can belong to (docs: LAW step 6)."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from service.law.observations import BoolArray, FloatArray

PRIOR_COLLAPSED, PRIOR_RUNS = 1, 20  # Beta(1, 19)
LARGEST_LEVERAGE = 0.98
SMALLEST_WEIGHT = 0.001


def probability(weight_sum: float, n: int) -> float:
    """Posterior mean of pi, a run's probability to collapse, from the sum of n weights r."""
    return (PRIOR_COLLAPSED + n - weight_sum) / (PRIOR_RUNS + n)


class Runs(NamedTuple):
    """N runs as a pass sees them, each (N,): gradient f', response z, collapse weight r."""

    gradient: FloatArray
    response: FloatArray
    weight: FloatArray


class LeftOut(NamedTuple):
    """N runs against what the others say of them, each (N,).

    Attributes:
        residual, variance: of the improvement, minus what the others predict.
        leverage: h, the share of a run in its own fitted value.
        log_density: of the improvement, given the others.
    """

    residual: FloatArray
    variance: FloatArray
    leverage: FloatArray
    log_density: FloatArray


def leave_one_out(runs: Runs, eta: FloatArray, eta_var: FloatArray, variance: FloatArray) -> LeftOut:
    """Compare each run's improvement with what the others say of it.

    The residual is e/(1-h) and its variance D + pv/(1-h), with h = pv r/D, where pv is the variance of the fitted
    improvement. Of G fits everything is (G, N).

    Args:
        runs: N of them.
        eta: (N,) posterior mean of eta.
        eta_var: (N,) its variance.
        variance: (N,) D.
    """
    pv = runs.gradient**2 * eta_var
    h = np.minimum(pv * runs.weight / variance, LARGEST_LEVERAGE)
    residual, spread = runs.gradient * (runs.response - eta) / (1 - h), variance + pv / (1 - h)
    return LeftOut(residual, spread, h, -0.5 * (residual**2 / spread + np.log(2 * np.pi * spread)))


def leave_one_out_of_mixture(
    runs: Runs, eta: FloatArray, eta_var: FloatArray, variance: FloatArray, share: FloatArray
) -> LeftOut:
    """Compare them where G fits share the posterior: what a run itself says of the fits' shares is taken back.

    Of a context with a single run that is much. By the moments of all fits together its h would be over 1, and it
    would pass for a collapsed run.

    Args:
        runs: N of them.
        eta: (G, N) posterior means of eta.
        eta_var: (G, N) their variances.
        variance: (G, N) D.
        share: (G,) posterior probability of each fit.
    """
    residual, spread, h, log_density = leave_one_out(runs, eta, eta_var, variance)
    log_told = 0.5 * (np.log1p(-h) - runs.weight * (np.log(variance) + residual**2 * (1 - h) / variance))
    log_share = np.log(share)[:, None] - log_told
    log_share -= _log_total(log_share)
    of_run = np.exp(log_share)
    mean = (of_run * residual).sum(axis=0)
    return LeftOut(
        mean,
        (of_run * (spread + (residual - mean) ** 2)).sum(axis=0),
        (of_run * h).sum(axis=0),
        _log_total(log_share + log_density),
    )


def _log_total(log: FloatArray) -> FloatArray:
    """Log of the sum over the first axis; scipy's own takes longer than the rest."""
    top = log.max(axis=0)
    return np.asarray(top + np.log(np.exp(log - top).sum(axis=0)))


def weights(log_density: FloatArray, pi: float, known: BoolArray) -> FloatArray:
    """(N,) r: probability that a run did not collapse; 0 where it is known that it did.

    A collapsed run's improvement has density 1: it can land anywhere on the unit range.

    Args:
        log_density: (N,) of the improvements, given the other runs.
        pi: probability of a collapse.
        known: (N,) True if it is known that the run collapsed.
    """
    r = expit(log_density + np.log1p(-pi) - np.log(pi))
    return np.where(known, 0.0, np.maximum(r, SMALLEST_WEIGHT))
