"""The shape of a curve between its start and its end, and how a run's looks stray from it."""

from typing import NamedTuple

import numpy as np

from service.law.curve.grids import OWN_BOW, STRAYING, WALK, WOBBLE, T
from service.law.curve.looks import Curve
from service.law.observations import FloatArray


def shapes(t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(W, K) of h and of x, W ways: every T for each part of straying."""
    h = np.tile(np.expm1(-t / T[:, None]) / np.expm1(-1 / T[:, None]), (len(STRAYING), 1))
    return h, h - t


def straying_of_ways() -> FloatArray:
    """(W,) part of straying of each way."""
    return np.repeat(STRAYING, len(T))


def covariance(h: FloatArray, x: FloatArray, curve: Curve, part: FloatArray) -> FloatArray:
    """(W, K, K) covariance of a run's looks around the curve of its end, which strays by a part (W,)."""
    t, rest = curve.t, 1 - h
    bridge = np.minimum(t[:, None], t) - np.outer(t, t)
    stray = OWN_BOW**2 * x[:, :, None] * x[:, None, :] + WALK**2 * bridge + WOBBLE**2 * np.eye(len(t))
    measured = curve.baseline_var * rest[:, :, None] * rest[:, None, :] + np.diag(curve.var)
    return np.asarray(part[:, None, None] ** 2 * stray + measured)


class Whitened(NamedTuple):
    """Vectors of K looks, whitened by a Cholesky factor: its leading block is that of the first looks alone.

    Attributes:
        vectors: (W, K, V). log_sd: (W, K) half the log determinants of the first 1, 2, ..., K looks.
    """

    vectors: FloatArray
    log_sd: FloatArray

    @classmethod
    def of(cls, C: FloatArray, *vectors: FloatArray) -> "Whitened":
        """Whiten vectors (K,) or (W, K) by the Cholesky factors of C (W, K, K)."""
        factor = np.linalg.cholesky(C)
        columns = np.stack([np.broadcast_to(each, C.shape[:2]) for each in vectors], axis=-1)
        log_sd = np.log(np.diagonal(factor, axis1=1, axis2=2)).cumsum(axis=1)
        return cls(np.linalg.solve(factor, columns), log_sd)

    def sums(self, one: int, other: int) -> FloatArray:
        """(W, K) products of two vectors over the first 1, 2, ..., K looks."""
        return np.asarray((self.vectors[:, :, one] * self.vectors[:, :, other]).cumsum(axis=1))
