"""Whether predictions keep their promises: outcomes against the quantiles that were stored before them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from service.law.observations import BoolArray, FloatArray

CONFIDENCE_Z = float(ndtri(0.975))
SAME = 1e-9  # of two probabilities: (1 - .8)/2 is not .1 to the last bit


class LevelCalibration(NamedTuple):
    """The intervals of one level.

    Attributes:
        level: what they promise.
        coverage: share of outcomes inside.
        lower, upper: 95 % Wilson bounds of that share, for predictions that err independently.
        width: mean width, in accuracy: of two methods that cover, the sharper is the better.
    """

    level: float
    coverage: float
    lower: float
    upper: float
    width: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """M outcomes against their predictions; with none, means are ``None`` and the rest is empty.

    Attributes:
        n: M.
        bias: mean of outcome - predicted mean, in accuracy. bias_se: its standard error, ``None`` for one outcome.
        mae: mean absolute error of the predicted mean.
        levels: one entry for each level asked.
        pit: (M,) probability integral transform, where in its predicted distribution each outcome fell, in [0, 1];
            uniform if the predictions are right.
        mean_pit: above .5 when outcomes are larger than predicted.
        inside: (levels, M) whether each outcome was inside each level's interval.
    """

    n: int
    bias: float | None
    bias_se: float | None
    mae: float | None
    levels: tuple[LevelCalibration, ...]
    pit: FloatArray
    mean_pit: float | None
    inside: BoolArray


def calibrate(
    outcome: ArrayLike, predicted: ArrayLike, probabilities: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]
) -> Calibration:
    """Compare outcomes with what was predicted for them.

    Between two stored quantiles, and beyond the last, a distribution is taken as normal: quantiles are straight in
    ndtri(probability), which is exact for a normal one. Equal quantiles, as clipping makes them, are an atom; an
    outcome on it gets the middle of its probabilities.

    Args:
        outcome: (M,) what came.
        predicted: (M,) its predicted mean.
        probabilities: (Q,) ascending, Q >= 2.
        quantiles: (M, Q), ascending in each row.
        levels: each in (0, 1), of equal-tailed intervals.

    Raises:
        ValueError: shapes that do not fit, a value that is not a number (a refused prediction has no place here),
            quantiles that fall, or a level that needs a quantile beyond the stored ones.
    """
    y: FloatArray = np.asarray(outcome, dtype=np.float64)
    mean: FloatArray = np.asarray(predicted, dtype=np.float64)
    p: FloatArray = np.asarray(probabilities, dtype=np.float64).reshape(-1)
    stored: FloatArray = np.asarray(quantiles, dtype=np.float64)
    M, Q = y.size, p.size
    stored = stored if M else stored.reshape(0, Q)
    if y.shape != (M,) or mean.shape != (M,) or stored.shape != (M, Q):
        raise ValueError(f"outcome {y.shape}, predicted {mean.shape} and {Q} quantiles {stored.shape} do not match")
    if Q < 2 or not ((p > 0) & (p < 1)).all() or not (np.diff(p) > 0).all():
        raise ValueError(f"probabilities {p.tolist()} are not two or more that ascend inside (0, 1)")
    fine = np.isfinite(y) & np.isfinite(mean) & np.isfinite(stored).all(axis=1) & (np.diff(stored) >= 0).all(axis=1)
    if not fine.all():
        raise ValueError(f"row {int(np.argmin(fine))} holds something that is not a number, or quantiles that fall")
    z = ndtri(p)
    bounds = [_interval(level, p, z, stored) for level in levels]
    inside = np.array([(lower <= y) & (y <= upper) for lower, upper in bounds], dtype=np.bool_).reshape(len(levels), M)
    pit = ndtr(0.5 * (_scores(stored < y[:, None], y, z, stored) + _scores(stored <= y[:, None], y, z, stored)))
    if not M:
        return Calibration(0, None, None, None, (), pit, None, inside)
    error = y - mean
    widths = [float(np.mean(upper - lower)) for lower, upper in bounds]
    return Calibration(
        n=M,
        bias=float(error.mean()),
        bias_se=float(error.std(ddof=1) / np.sqrt(M)) if M > 1 else None,
        mae=float(np.abs(error).mean()),
        levels=tuple(
            LevelCalibration(level, float(hits.mean()), *wilson(int(hits.sum()), M), width)
            for level, hits, width in zip(levels, inside, widths, strict=True)
        ),
        pit=pit,
        mean_pit=float(pit.mean()),
        inside=inside,
    )


def running(values: ArrayLike) -> FloatArray:
    """(M,) means of the first 1, 2, ... M values: coverage over time, from a row of ``Calibration.inside``."""
    column = np.asarray(values, dtype=np.float64)
    return np.asarray(np.cumsum(column) / np.arange(1, len(column) + 1))


def _interval(level: float, p: FloatArray, z: FloatArray, stored: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(M,) bounds of an equal-tailed interval, between the stored quantiles where it is not among them."""
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not inside (0, 1)")
    ends = np.array([(1 - level) / 2, (1 + level) / 2])
    nearest = p[np.abs(p - ends[:, None]).argmin(axis=1)]
    ends = np.where(np.abs(nearest - ends) < SAME, nearest, ends)
    if ends[0] < p[0] or ends[1] > p[-1]:
        raise ValueError(f"level {level} needs quantiles beyond those stored, at {p[0]:g} to {p[-1]:g}")
    lower, upper = (_between(float(wanted), z, stored) for wanted in ndtri(ends))
    return lower, upper


def _between(wanted: float, z: FloatArray, stored: FloatArray) -> FloatArray:
    right = int(np.clip(np.searchsorted(z, wanted), 1, len(z) - 1))
    share = (wanted - z[right - 1]) / (z[right] - z[right - 1])
    return np.asarray((1 - share) * stored[:, right - 1] + share * stored[:, right])


def _scores(left: BoolArray, y: FloatArray, z: FloatArray, stored: FloatArray) -> FloatArray:
    """(M,) ndtri of the probability of y, on the piece of its distribution that follows the quantiles in ``left``."""
    right = np.clip(left.sum(axis=1), 1, len(z) - 1)
    row = np.arange(len(y))
    below, above = stored[row, right - 1], stored[row, right]
    off, width = y - below, above - below
    # beyond an atom at the end of the range nothing is possible
    none = np.select([off < 0, off > 0], [-np.inf, np.inf], 0.0)
    share = np.divide(off, width, out=none, where=width > 0)
    return np.asarray(z[right - 1] + share * (z[right] - z[right - 1]))


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson bounds of a share of n > 0 that are independent."""
    share, z2 = hits / n, CONFIDENCE_Z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = CONFIDENCE_Z / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)
