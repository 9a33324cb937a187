"""Runs that collapse: a second component that an outlier can belong to (docs: LAW step 6)."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from service.law.hierarchy import line
from service.law.likelihood import Likelihood
from service.law.observations import BoolArray, FloatArray

PRIOR_COLLAPSED, PRIOR_RUNS = 1, 20  # Beta(1, 19)
LARGEST_LEVERAGE = 0.98
SMALLEST_WEIGHT = 0.001


def probability(weight_sum: float, n: int) -> float:
    """Posterior mean of pi, a run's probability to collapse, from the sum of n weights r."""
    return (PRIOR_COLLAPSED + n - weight_sum) / (PRIOR_RUNS + n)


class Fitted(NamedTuple):
    """(N,) what eta is of rows, by posterior mean, its variance, and its covariance with b1."""

    eta: FloatArray
    variance: FloatArray
    with_slope: FloatArray


def on_the_line(likelihood: Likelihood, mean: FloatArray, cov: FloatArray) -> Fitted:
    """See where rows stand by the mean (2, L) and covariance (3, L) of their leaves' coefficients."""
    rows = likelihood.rows
    _, s01, s11 = cov[:, rows.leaf]
    return Fitted(*line(mean[:, rows.leaf], cov[:, rows.leaf], rows.x), s01 + s11 * rows.x)


def leave_one_out(
    likelihood: Likelihood, weight: FloatArray, sigma_square: float, fitted: Fitted
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compare each row's improvement with what the others say of it.

    Args:
        likelihood: of N rows.
        weight: (N,) r.
        sigma_square: E[sigma^2].
        fitted: where the rows stand.

    Returns:
        residual e/(1-h), its variance D + pv/(1-h), and leverage h = pv r/D, each (N,); pv is the variance of the
        fitted improvement.
    """
    gradient, D = likelihood.gradient, likelihood.variance(sigma_square)
    pv = gradient**2 * fitted.variance
    h = np.minimum(pv * weight / D, LARGEST_LEVERAGE)
    return gradient * (likelihood.response - fitted.eta) / (1 - h), D + pv / (1 - h), h


def weights(residual: FloatArray, variance: FloatArray, pi: float, known: BoolArray) -> FloatArray:
    """(N,) r: probability that a run did not collapse; 0 where it is known that it did.

    A collapsed run's improvement has density 1: it can land anywhere on the unit range.
    """
    log_normal = -0.5 * (residual**2 / variance + np.log(2 * np.pi * variance))
    r = expit(log_normal + np.log1p(-pi) - np.log(pi))
    return np.where(known, 0.0, np.maximum(r, SMALLEST_WEIGHT))
