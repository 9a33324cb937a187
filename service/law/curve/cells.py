"""What the finished runs of a cell say of the next one's curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.law.curve.grids import BOW, BOW_SD, T_CENTRE, T_CENTRE_SD, T_SD, TYPICAL_T, T
from service.law.curve.looks import Finished
from service.law.curve.shapes import Whitened, covariance, shapes
from service.law.observations import FloatArray

FEWEST = 3
"""finished runs without which a cell is cold"""


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
    h, x = shapes(run.curve.t)
    C = covariance(h, x, run.curve) + run.end_var * h[:, :, None] * h[:, None, :]
    parts = Whitened.of(C, run.curve.gain - run.end * h, x)
    quadratic = parts.sums(0, 0)[:, -1:] - 2 * BOW * parts.sums(0, 1)[:, -1:] + BOW**2 * parts.sums(1, 1)[:, -1:]
    return np.asarray(-0.5 * quadratic - parts.log_sd[:, -1:])


def _normal(value: FloatArray, mean: FloatArray | float, sd: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * ((value - mean) / sd) ** 2))
