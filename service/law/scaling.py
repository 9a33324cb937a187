"""Whether a family's slope changes with the size of its models."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, ndtri

from service.law.fitting import Fit, fit
from service.law.keys import Key, keyed
from service.law.observations import BoolArray, FloatArray, Observations

FEWEST_POINTS = 3  # a line through two leaves nothing to doubt it by
LEAST_SPREAD = 1e-3  # sd of one size's gaps, in accuracy, or of sizes, in decades: under it all are one
USABLE = 0.5  # r of a point that more likely belongs than not
CONFIDENCE = 0.95


class SizeSlope(NamedTuple):
    """The slope of the models of one size, with its 95 % confidence bounds.

    ``parameters`` is their number of weights, ``n`` the usable points.
    """

    parameters: float
    n: int
    slope: float
    se: float
    lower: float
    upper: float


class Trend(NamedTuple):
    """Change of the slope for each tenfold number of parameters, with its 95 % confidence bounds."""

    per_tenfold: float
    se: float
    lower: float
    upper: float


class Homogeneity(NamedTuple):
    """Cochran's Q of the sizes' slopes, its degrees of freedom, and P(a larger Q | all sizes share one slope)."""

    q: float
    freedom: int
    p_value: float


@dataclass(frozen=True)
class FamilyScaling:
    """Slopes of one family by size, in ascending size; with one size there is no trend and nothing to compare.

    ``key`` is the teacher rule and the divergence of its runs.
    """

    family: str
    key: Key
    sizes: tuple[SizeSlope, ...]
    trend: Trend | None
    homogeneity: Homogeneity | None


def scaling(observations: Observations, parameters: Sequence[float | None] | ArrayLike) -> tuple[FamilyScaling, ...]:
    """Fit every size of every family a line of its own, unshrunken, and compare a family's slopes.

    Runs of another teacher rule or divergence follow another law: each is looked at alone. Where improvements bend, the
    slope is that of the line which comes closest.

    Weighted least squares of the law's yt on its xt with weights r/D (docs: LAW steps 1, 2 and 6): an intercept and a
    slope for each size, cells left aside. xt, yt, D and r are of a fit in which each size is a family of its own, as
    versions are in the drift test: in the pool's fit sigma swallows the difference of the sizes, and Q finds slopes of
    .7, 1.2 and 1.7 in 4 to 35 % of cases where it now finds them in 80 to 98 %. A size's trend is the weighted least
    squares line of its slopes over log10(parameters).

    What the intervals condition on: on D, with the mean of sigma^2 over all families, on the collapse weights r, and
    on the exposure of all stored gaps, as if known. The trend takes its line as exact: with three sizes or more, look
    at Q first. By simulation of LAW's generating process (docs: LAW, Acceptance), 3 to 8 points a size, the 95 %
    intervals cover .95 to .98, and Q and the trend call one slope several in 1 to 5 %: they are cautious where the
    pool is this family alone. They are not where short probes meet gaps that vary less within a size than over all of
    the pool: xt is then shrunk too little, and the slope too flat. With 32 problems a probe and gaps that span .2 in
    each size, coverage is .93 at 4 points a size and .88 at 10.

    Args:
        observations: N stored points, fitted here anew.
        parameters: N numbers of weights of the models, > 0; ``None`` or NaN where unknown.

    Returns:
        Families with at least one size that has three usable points (r > .5) and gaps that differ, in order of name
        and key.

    Raises:
        ValueError: parameters has another length or holds a number that is not positive.
    """
    size = np.array(parameters, dtype=np.float64)  # None becomes NaN
    if size.shape != (len(observations),):
        raise ValueError(f"parameters has shape {size.shape}, family has {len(observations)} rows")
    wrong = (size <= 0) | np.isinf(size)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"parameters, row {row}: {size[row]} is not a positive number")
    each = [_of_key(key, observations.take(rows), size[rows]) for key, rows in keyed(observations).items()]
    return tuple(sorted(chain.from_iterable(each), key=lambda one: (one.family, one.key)))


def _of_key(key: Key, observations: Observations, size: FloatArray) -> list[FamilyScaling]:
    keys = list(zip(observations.family, size.tolist(), strict=True))
    regrouped = observations.regrouped([family if isnan(each) else f"{family}\0{each!r}" for family, each in keys])
    # sigma is to hold what contexts differ by: the lines below know of no other spread
    fitted = fit(regrouped, contexts=False)
    found: dict[str, list[SizeSlope]] = {}
    for family, each in sorted({key for key in keys if not isnan(key[1])}):
        place = fitted.rows.leaves.family_place[f"{family}\0{each!r}"]
        line = _size_slope(fitted, fitted.rows.leaves.family[fitted.rows.leaf] == place, each)
        if line is not None:
            found.setdefault(family, []).append(line)
    return [FamilyScaling(name, key, tuple(of), _trend(of), _homogeneity(of)) for name, of in found.items()]


def _size_slope(fitted: Fit, inside: BoolArray, parameters: float) -> SizeSlope | None:
    r = fitted.weight[inside]
    usable = int(np.sum(r > USABLE))
    line = _slope(fitted.rows.x[inside], fitted.rows.y[inside], r / fitted.residual_variance[inside])
    return None if usable < FEWEST_POINTS or line is None else SizeSlope(parameters, usable, *line)


def _trend(sizes: Sequence[SizeSlope]) -> Trend | None:
    decades = np.log10([one.parameters for one in sizes])
    line = _slope(decades, np.array([one.slope for one in sizes]), np.array([one.se for one in sizes]) ** -2.0)
    return None if line is None else Trend(*line)


def _homogeneity(sizes: Sequence[SizeSlope]) -> Homogeneity | None:
    if len(sizes) < 2:
        return None
    slope, weight = np.array([one.slope for one in sizes]), np.array([one.se for one in sizes]) ** -2.0
    q = float(weight @ (slope - weight @ slope / weight.sum()) ** 2)
    return Homogeneity(q, len(sizes) - 1, float(chdtrc(len(sizes) - 1, q)))


def _slope(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[float, float, float, float] | None:
    """Slope of a weighted line, its se and bounds, from known variances 1/weight; ``None`` where x hardly varies."""
    total = weight.sum()
    if not total > 0:
        return None
    off = x - weight @ x / total
    square = weight @ off**2
    if square < LEAST_SPREAD**2 * total:
        return None
    slope, se = float(weight @ (off * y) / square), float(square**-0.5)
    half = se * float(ndtri(0.5 + CONFIDENCE / 2))
    return slope, se, slope - half, slope + half
