"""The rest of a run's curve: where a run ends, given what it has shown so far (docs: LIVE, "The model").

Steps are shares t of the run's own. A run that ends y above its measured baseline has gained y h(t) + b x(t) at t, with
h(t) = (1 - exp(-t/T)) / (1 - exp(-1/T)) and x(t) = h(t) - t: y h is the quick gain, and b x, the bow, is what was
gained early and lost by the end. At t = 1 both are settled, so the law speaks of y alone, and finished runs of T and b.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from service.law.leaves import IndexArray
from service.law.mixture import NormalMixture
from service.law.observations import FloatArray

GRID = np.linspace(-1.0, 1.0, 401)
"""true ends over the measured baseline"""
T = np.geomspace(0.015, 1.5, 13)
BOW = np.linspace(-0.15, 0.35, 11)
BOW_SD = 0.12
TYPICAL_T = np.array([0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.40])
"""medians of T that a cell may have"""
T_CENTRE, T_CENTRE_SD, T_SD = 0.10, 0.6, 0.5
"""prior of that median, its log sd, and the log sd of a run's T around it"""
FEWEST = 3
"""finished runs without which a cell is cold"""

# LIVE's R, chosen on 101 real runs; they are not fitted from a user's runs: with 16 runs that was worse.
UNLIKE = 0.10
"""rho: share of runs that end anywhere"""
BEYOND_LAW = 0.10
"""omega: sd by which the law's left-out errors exceed its own"""
OWN_BOW = 0.10
"""tau_B: sd of a run's bow around its cell's"""
WALK = 0.10
"""sd of the bridge that a curve strays along"""
WOBBLE = 0.03
"""sd of a look around the curve, beyond its sampling error"""

ROUNDING = 1e-9
"""of error (n + 1), which is a whole number for 19 runs and 5 %"""
SLACK = 0.03
"""by which a true end may leave what the measured baseline allows"""
LEAST_SD = 0.01
"""of the law's prediction without the measurement's own noise"""
MOST_LOOKS = 64
"""of one curve; of more, evenly spaced ones are used"""


class Curve(NamedTuple):
    """K looks at one run, in order of step.

    Attributes:
        t: (K,) shares of the run's steps, in (0, 1].
        gain: (K,) accuracy minus the measured baseline.
        var: (K,) sampling variance of each look's accuracy on its problems.
        baseline_var: that of the baseline.
    """

    t: FloatArray
    gain: FloatArray
    var: FloatArray
    baseline_var: float

    @classmethod
    def of_improvements(cls, t: ArrayLike, gain: ArrayLike, se: ArrayLike) -> "Curve":
        """Make a curve of measured improvements.

        Both evaluations of an improvement take the same problems and rollouts, so half of its variance is either's.
        """
        var = np.asarray(se, dtype=np.float64) ** 2 / 2
        return cls(np.asarray(t, dtype=np.float64), np.asarray(gain, dtype=np.float64), var, float(var[0]))

    def take(self, rows: IndexArray) -> "Curve":
        """Keep these looks."""
        return self._replace(t=self.t[rows], gain=self.gain[rows], var=self.var[rows])

    @property
    def thinned(self) -> "Curve":
        """At most ``MOST_LOOKS`` of the looks, the first and the last among them."""
        if len(self.t) <= MOST_LOOKS:
            return self
        return self.take(np.round(np.linspace(0, len(self.t) - 1, MOST_LOOKS)).astype(np.intp))


class Finished(NamedTuple):
    """A run that was trained to its last step: its looks, its measured improvement and half of that one's variance."""

    curve: Curve
    end: float
    end_var: float

    @classmethod
    def of_improvements(
        cls, t: ArrayLike, gain: ArrayLike, se: ArrayLike, end: float, end_se: float
    ) -> "Finished | None":
        """Keep the looks before the end; None without one."""
        curve = Curve.of_improvements(t, gain, se)
        before = curve.take(np.flatnonzero(curve.t < 1))
        return cls(before.thinned, end, end_se**2 / 2) if len(before.t) else None


@dataclass(frozen=True, eq=False)
class Cell:
    """What finished runs of a cell say of the next one's curve.

    Attributes:
        runs: how many.
        weight: (T, bows) posterior probabilities.
    """

    runs: int
    weight: FloatArray

    @property
    def cold(self) -> bool:
        """True if too few runs are known."""
        return self.runs < FEWEST


def cell(finished: Sequence[Finished]) -> Cell:
    """Return the posterior of T and bow given the finished runs of a cell; a cold one has the prior."""
    of_typical = _normal(np.log(T), np.log(TYPICAL_T)[:, None], T_SD)  # (medians, T)
    of_typical /= of_typical.sum(axis=1, keepdims=True)
    prior = _normal(np.log(TYPICAL_T), np.log(T_CENTRE), T_CENTRE_SD)[:, None] * _normal(BOW, 0.0, BOW_SD)
    log_weight = np.log(prior)
    for run in finished if len(finished) >= FEWEST else ():
        likelihood = _log_likelihood(run)
        top = likelihood.max()
        log_weight += top + np.log(of_typical @ np.exp(likelihood - top))
    weight = np.exp(log_weight - log_weight.max())
    joint = of_typical.T @ (weight / weight.sum())
    return Cell(len(finished), joint)


def _log_likelihood(run: Finished) -> FloatArray:
    """(T, bows) log density of a finished run's looks, its true end integrated out: N(D; Y h + b x, C + v h h')."""
    h, x = _shapes(run.curve.t)
    C = _covariance(h, x, run.curve) + run.end_var * h[:, :, None] * h[:, None, :]
    parts = _Whitened.of(C, run.curve.gain - run.end * h, x)
    quadratic = parts.sums(0, 0)[:, -1:] - 2 * BOW * parts.sums(0, 1)[:, -1:] + BOW**2 * parts.sums(1, 1)[:, -1:]
    return np.asarray(-0.5 * quadratic - parts.log_sd[:, -1:])


def _normal(value: FloatArray, mean: FloatArray | float, sd: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * ((value - mean) / sd) ** 2))


def _shapes(t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(T, K) of h and of x."""
    h = np.expm1(-t / T[:, None]) / np.expm1(-1 / T[:, None])
    return h, h - t


def _covariance(h: FloatArray, x: FloatArray, curve: Curve) -> FloatArray:
    """(T, K, K) covariance of a run's looks around the curve of its end."""
    t, rest = curve.t, 1 - h
    bridge = np.minimum(t[:, None], t) - np.outer(t, t)
    C = OWN_BOW**2 * x[:, :, None] * x[:, None, :] + curve.baseline_var * rest[:, :, None] * rest[:, None, :]
    return np.asarray(C + WALK**2 * bridge + np.diag(curve.var + WOBBLE**2))


class _Whitened(NamedTuple):
    """Vectors of K looks, whitened by a Cholesky factor: its leading block is that of the first looks alone.

    Attributes:
        vectors: (T, K, V). log_sd: (T, K) half the log determinants of the first 1, 2, ..., K looks.
    """

    vectors: FloatArray
    log_sd: FloatArray

    @classmethod
    def of(cls, C: FloatArray, *vectors: FloatArray) -> "_Whitened":
        factor = np.linalg.cholesky(C)
        columns = np.stack([np.broadcast_to(each, C.shape[:2]) for each in vectors], axis=-1)
        log_sd = np.log(np.diagonal(factor, axis1=1, axis2=2)).cumsum(axis=1)
        return cls(np.linalg.solve(factor, columns), log_sd)

    def sums(self, one: int, other: int) -> FloatArray:
        """(T, K) products of two vectors over the first 1, 2, ..., K looks."""
        return np.asarray((self.vectors[:, :, one] * self.vectors[:, :, other]).cumsum(axis=1))


def prior(
    predicted: NormalMixture,
    improvement_var: float,
    end_var: float,
    baseline: float,
    beyond_law: float = BEYOND_LAW,
) -> FloatArray:
    """(G,) probabilities of the true end before the run has shown anything.

    Args:
        predicted: the law's one mixture, of an improvement that is measured with `improvement_var`.
        improvement_var: sampling variance of the improvement.
        end_var: the last evaluation's part of it; the baseline's stays, as the end is over the measured one.
        baseline: measured accuracy before training.
        beyond_law: sd by which the law's left-out errors exceed its own.
    """
    weight, mean, sd = (values[0] for values in (predicted.weight, predicted.mean, predicted.sd))
    spread = np.sqrt(np.maximum(sd**2 - min(end_var, improvement_var), LEAST_SD**2) + beyond_law**2)
    z = (GRID[:, None] - mean) / spread
    of_law = (weight * np.exp(-0.5 * z**2) / (np.sqrt(2 * np.pi) * spread)).sum(axis=1)
    return _on_range((1 - UNLIKE) * of_law + UNLIKE / (1 + 2 * SLACK), baseline)


def _on_range(density: FloatArray, baseline: float) -> FloatArray:
    possible = (-baseline - SLACK <= GRID) & (1 - baseline + SLACK >= GRID)
    kept = np.where(possible, density, 0.0)
    return np.asarray(kept / kept.sum())


@dataclass(frozen=True, eq=False)
class Forecast:
    """Where a run ends, after each of K looks.

    Attributes:
        end: (K, G) probabilities of the true end. alone: the same without the law, from a flat prior.
        end_var: (K,) sampling variance that the end is measured with.
        baseline: measured accuracy before training.
    """

    end: FloatArray
    alone: FloatArray
    end_var: FloatArray
    baseline: float

    @property
    def mean(self) -> FloatArray:
        """(K,) expected ends."""
        return self.end @ GRID

    @property
    def alone_mean(self) -> FloatArray:
        """(K,) the pilot's own estimates, which do not know the law."""
        return self.alone @ GRID

    @property
    def alone_sd(self) -> FloatArray:
        """(K,) standard deviations of those."""
        return np.sqrt(np.maximum(self.alone @ GRID**2 - self.alone_mean**2, 0.0))

    def quantiles(self, probabilities: ArrayLike) -> FloatArray:
        """(K, Q) quantiles of the measured end."""
        edges, p = _edges(), np.asarray(probabilities, dtype=np.float64)
        found = np.stack([np.interp(p, cdf, edges) for cdf in self._cdf()])
        return np.clip(found, -self.baseline, 1 - self.baseline)

    def p_above(self, least: float) -> FloatArray:
        """(K,) probabilities of a measured end above `least`."""
        return np.array([1 - np.interp(least, _edges(), cdf) for cdf in self._cdf()])

    def _cdf(self) -> FloatArray:
        """(K, G + 1) of the measured end, at the edges of the grid's steps."""
        step = GRID[1] - GRID[0]
        rows = []
        for density, var in zip(self.end, self.end_var, strict=True):
            reach = int(min(np.ceil(5 * np.sqrt(var) / step), len(GRID) // 2))
            kernel = _normal(step * np.arange(-reach, reach + 1), 0.0, max(float(np.sqrt(var)), step / 10))
            blurred = np.convolve(density, kernel, mode="same")
            rows.append(np.concatenate([[0.0], np.cumsum(blurred / blurred.sum())]))
        return np.stack(rows)


def _edges() -> FloatArray:
    half = (GRID[1] - GRID[0]) / 2
    return np.append(GRID - half, GRID[-1] + half)


def forecast(before: FloatArray, of_cell: Cell, curve: Curve, baseline: float) -> Forecast:
    """Update the prior `before` (G,) by one run's looks, once for each of them with those that came before it."""
    h, x = _shapes(curve.t)
    parts = _Whitened.of(_covariance(h, x, curve), curve.gain, h, x)
    products = [[parts.sums(one, other) for other in range(3)] for one in range(3)]
    with np.errstate(divide="ignore"):
        log_weight, log_prior = np.log(of_cell.weight), np.log(before)
    flat = _on_range(np.ones_like(GRID), baseline)
    ends, alone = [], []
    for k in range(len(curve.t)):
        dd, dh, dx = (products[0][column][:, k] for column in range(3))
        hh, hx, xx = products[1][1][:, k], products[1][2][:, k], products[2][2][:, k]
        of_bow = dd[:, None] - 2 * BOW * dx[:, None] + BOW**2 * xx[:, None]
        slope = BOW * hx[:, None] - dh[:, None]
        quadratic = of_bow[:, :, None] + 2 * slope[:, :, None] * GRID + hh[:, None, None] * GRID**2
        log_joint = log_weight[:, :, None] - 0.5 * quadratic - parts.log_sd[:, k, None, None]
        top = log_joint.max(axis=(0, 1))
        log_likelihood = top + np.log(np.exp(log_joint - top).sum(axis=(0, 1)))
        ends.append(_normalized(log_prior + log_likelihood))
        alone.append(_normalized(np.where(flat > 0, log_likelihood, -np.inf)))
    return Forecast(np.stack(ends), np.stack(alone), curve.var, baseline)


def _normalized(log_density: FloatArray) -> FloatArray:
    density = np.exp(log_density - log_density.max())
    return np.asarray(density / density.sum())


def threshold(lowest: ArrayLike, error: float) -> float | None:
    """Return the learnt threshold of stopping: the j-th smallest of n, j = floor(error (n + 1)).

    A run is stopped when its probability of ending above the gain that is worth it falls below the threshold. A good
    run that is like the n ones is then stopped with probability `error` at most, whether or not the model is right.

    Args:
        lowest: (n,) for each finished run that ended above that gain, the lowest such probability over its looks, by a
            law and curves that do not know its context.
        error: share of good runs that may be stopped.

    Returns:
        None with fewer than 1/error - 1 runs, which cannot promise that.
    """
    ordered = np.sort(np.asarray(lowest, dtype=np.float64))
    j = int(error * (len(ordered) + 1) + ROUNDING)
    return float(ordered[j - 1]) if j else None
