"""Mixtures of normals: what a prediction is (docs: LAW step 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from service.law.leaves import IndexArray
from service.law.observations import FloatArray

Normals = tuple[FloatArray, FloatArray, FloatArray]
"""weights, means and sds"""

NEGLIGIBLE = 1e-10  # of a tail's probability: what is left out moves its quantile by no more than that many sds
SHORT = 1e-7  # a Newton step's error is its square over the narrowest normal's sd, none of which is near 1e-5
NARROW = 1e-11  # a bracket that is as good as a point
MOST_STEPS = 100  # two or three do; bisection alone would need 40
# Normals whose means are within a fifth of an sd and whose sds are within a tenth, put together with their moments
# kept, move the ends of a 95 % interval by 2e-4 of its width at most.
MEAN_STEP, SD_STEP = 0.2, 0.1
LARGEST_TABLE = 1_000_000


@dataclass(frozen=True, eq=False)
class NormalMixture:
    """P mixtures of C normals each: all arrays (P, C), weights sum to 1 in each row."""

    weight: FloatArray
    mean: FloatArray
    sd: FloatArray

    @property
    def centre(self) -> FloatArray:
        """(P,) means."""
        return np.asarray((self.weight * self.mean).sum(axis=1))

    def cdf(self, value: FloatArray) -> FloatArray:
        """(P,) probabilities of values (P,) or less."""
        return np.asarray((self.weight * ndtr((value[:, None] - self.mean) / self.sd)).sum(axis=1))

    def quantiles(self, probabilities: ArrayLike) -> FloatArray:
        """(P, Q) quantiles at Q probabilities. A mixture's do not depend on those beside it.

        Raises:
            ValueError: a probability is not inside (0, 1).
        """
        p = np.asarray(probabilities, dtype=np.float64).reshape(-1)
        for value in p:
            if not 0 < value < 1:
                raise ValueError(f"probability {value} is not inside (0, 1)")
        rows = zip(self.weight, self.mean, self.sd, strict=True)
        return np.array([_quantiles(*row, p) for row in rows]).reshape(len(self.weight), len(p))

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """(P,) equal-tailed bounds that hold ``level`` of the probability."""
        if not 0 < level < 1:
            raise ValueError(f"level {level} is not inside (0, 1)")
        lower, upper = self.quantiles([(1 - level) / 2, (1 + level) / 2]).T
        return lower, upper

    @classmethod
    def beside(cls, parts: Sequence[Normals]) -> "NormalMixture":
        """Mix all parts, weights, means and sds (P, C) each, in every row."""
        return cls(*(np.concatenate(column, axis=1) for column in zip(*parts, strict=True)))

    @classmethod
    def stacked(cls, parts: Sequence["NormalMixture"]) -> "NormalMixture":
        """Put mixtures of different sizes under each other; shorter ones get normals of no weight."""
        if len(parts) == 1:
            return parts[0]
        shape = sum(len(part.mean) for part in parts), max(part.mean.shape[1] for part in parts)

        def column(values: Sequence[FloatArray], fill: float) -> FloatArray:
            wide, first = np.full(shape, fill, dtype=np.float64), 0
            for each in values:
                wide[first : first + len(each), : each.shape[1]] = each
                first += len(each)
            return wide

        weights, means, sds = zip(*((part.weight, part.mean, part.sd) for part in parts), strict=True)
        return cls(column(weights, 0), column(means, 0), column(sds, 1))

    def take(self, rows: IndexArray) -> "NormalMixture":
        """Keep these rows, in this order."""
        return NormalMixture(self.weight[rows], self.mean[rows], self.sd[rows])

    def merged(self) -> "NormalMixture":
        """Put normals together that are nearly the same: of tens of thousands some hundreds remain."""
        rows = (_merged(*row) for row in zip(self.weight, self.mean, self.sd, strict=True))
        return NormalMixture.stacked([NormalMixture(*(value[None] for value in row)) for row in rows])


def _merged(weight: FloatArray, mean: FloatArray, sd: FloatArray) -> Normals:
    # in place where it goes: there are some ten arrays of up to a hundred thousand normals
    band = np.log(sd)
    band /= SD_STEP
    np.floor(band, out=band)
    step = np.multiply(band, SD_STEP)
    np.exp(step, out=step)
    step *= MEAN_STEP
    np.floor(np.divide(mean, step, out=step), out=step)
    band -= band.min()
    step -= step.min()
    step *= band.max() + 1
    step += band
    place = step.astype(np.int64)
    if place.max() > LARGEST_TABLE:
        place = np.unique(place, return_inverse=True)[1]
    total, first, second = (
        np.bincount(place, value).astype(np.float64) for value in (weight, weight * mean, weight * (sd**2 + mean**2))
    )
    used = total > 0
    centre = first[used] / total[used]
    variance = second[used] / total[used] - centre**2
    return total[used], centre, np.sqrt(np.maximum(variance, 0))


def _quantiles(weight: FloatArray, mean: FloatArray, sd: FloatArray, p: FloatArray) -> FloatArray:
    """Solve ndtri(cdf) = ndtri(p) by Newton: for a mixture of similar normals the left side is nearly a straight line.

    The root stays between the lowest and the highest of the components' own quantiles; a step that leaves the bracket,
    or is not half the one before, becomes a bisection.
    """
    if not len(p):
        return p
    heavy = weight > NEGLIGIBLE * min(p.min(), 1 - p.max()) / len(weight)
    weight, mean, sd = weight[heavy], mean[heavy], sd[heavy]
    z = ndtri(p)
    own = mean + sd * z[:, None]
    low, high = own.min(axis=1), own.max(axis=1)
    centre = (weight * mean).sum()
    spread = np.sqrt((weight * (sd**2 + (mean - centre) ** 2)).sum())
    value = np.clip(centre + spread * z, low, high)
    density_weight = weight / (sd * np.sqrt(2 * np.pi))
    step, found, open_ones = high - low, np.empty(len(p)), np.arange(len(p))
    for _ in range(MOST_STEPS):
        off = value[:, None] - mean
        off /= sd
        below = ndtr(off)
        below *= weight
        off *= off
        off *= -0.5
        np.exp(off, out=off)
        off *= density_weight
        # sums, not products of matrices: their last bit would depend on how many threads multiply
        cdf, density = below.sum(axis=1), off.sum(axis=1)
        low, high = np.where(cdf < p, value, low), np.where(cdf < p, high, value)
        now = ndtri(cdf)
        with np.errstate(all="ignore"):  # far out the density is 0: the bracket's middle comes next
            after = value + (z - now) * np.exp(-0.5 * now**2) / (np.sqrt(2 * np.pi) * density)
        newton = (after >= low) & (after <= high) & (np.abs(after - value) <= 0.5 * step)
        after = np.where(newton, after, 0.5 * (low + high))
        step = np.abs(after - value)
        found[open_ones] = after
        going = ~np.where(newton, step <= SHORT, high - low <= NARROW)
        if not going.any():
            break
        open_ones, value = open_ones[going], after[going]
        p, z, low, high, step = (part[going] for part in (p, z, low, high, step))
    return found
