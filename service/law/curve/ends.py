"""Where a run ends, after each of its looks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from service.law.curve.cells import Cell
from service.law.curve.grids import BEYOND_LAW, BOW, GRID, UNLIKE
from service.law.curve.looks import Curve
from service.law.curve.shapes import Whitened, covariance, shapes, straying_of_ways
from service.law.mixture import NormalMixture
from service.law.observations import FloatArray

SLACK = 0.03
"""by which a true end may leave what the measured baseline allows"""
NEGLIGIBLE = 1e-10
"""probability of a way or a bow, by finished runs, that is left out: its part of a forecast is not seen"""
LEAST_SD = 0.01
"""of the law's prediction without the measurement's own noise"""


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
            off = step * np.arange(-reach, reach + 1) / max(float(np.sqrt(var)), step / 10)
            kernel = np.exp(-0.5 * off**2)
            blurred = np.convolve(density, kernel, mode="same")
            rows.append(np.concatenate([[0.0], np.cumsum(blurred / blurred.sum())]))
        return np.stack(rows)


def _edges() -> FloatArray:
    half = (GRID[1] - GRID[0]) / 2
    return np.append(GRID - half, GRID[-1] + half)


def forecast(before: FloatArray, of_cell: Cell, curve: Curve, baseline: float) -> Forecast:
    """Update the prior `before` (G,) by one run's looks, once for each of them with those that came before it."""
    ways, bows = (of_cell.weight.sum(axis=axis) > NEGLIGIBLE for axis in (1, 0))
    weight, bow = of_cell.weight[ways][:, bows], BOW[bows]
    h, x = (each[ways] for each in shapes(curve.t))
    parts = Whitened.of(covariance(h, x, curve, straying_of_ways()[ways]), curve.gain, h, x)
    products = [[parts.sums(one, other) for other in range(3)] for one in range(3)]
    with np.errstate(divide="ignore"):
        log_weight, log_prior = np.log(weight), np.log(before)
    flat = _on_range(np.ones_like(GRID), baseline)
    ends, alone = [], []
    for k in range(len(curve.t)):
        dd, dh, dx = (products[0][column][:, k, None] for column in range(3))
        hh, hx, xx = (products[one][other][:, k, None] for one, other in ((1, 1), (1, 2), (2, 2)))
        # of each way and bow: a normal curve in the end, its top at (dh - b hx) / hh
        constant = (log_weight - parts.log_sd[:, k, None] - 0.5 * (dd - 2 * bow * dx + bow**2 * xx)).ravel()
        slope, curvature = (dh - bow * hx).ravel(), np.broadcast_to(hh, weight.shape).ravel()
        log_joint = constant[:, None] + slope[:, None] * GRID - 0.5 * curvature[:, None] * GRID**2
        top = log_joint.max(axis=0)
        log_likelihood = top + np.log(np.exp(log_joint - top).sum(axis=0))
        ends.append(_normalized(log_prior + log_likelihood))
        alone.append(_normalized(np.where(flat > 0, log_likelihood, -np.inf)))
    return Forecast(np.stack(ends), np.stack(alone), curve.var, baseline)


def _normalized(log_density: FloatArray) -> FloatArray:
    density = np.exp(log_density - log_density.max())
    return np.asarray(density / density.sum())
