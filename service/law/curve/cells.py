"""What the finished runs of a cell say of the next one's curve."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from service.law.curve.grids import (
    BOW,
    BOW_SD,
    STRAYING,
    STRAYING_AT,
    STRAYING_PRIOR,
    STRAYING_RUNS,
    T_CENTRE,
    T_CENTRE_SD,
    T_SD,
    TOLD_AT,
    TYPICAL_T,
    T,
)
from service.law.curve.looks import Finished
from service.law.curve.shapes import Whitened, covariance, shapes, straying_of_ways
from service.law.observations import FloatArray

EM_STEPS = 50
"""after which the shares of a cell's runs hardly change"""
FEWEST = 3
"""finished runs without which a cell is cold"""


@dataclass(frozen=True, eq=False)
class Cell:
    """What finished runs of a cell say of the next one's curve.

    Attributes:
        runs: how many.
        weight: (W, bows) posterior probabilities, W ways as in ``shapes``.
    """

    runs: int
    weight: FloatArray

    @property
    def cold(self) -> bool:
        """True if too few runs are known."""
        return self.runs < FEWEST

    @property
    def of_each(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Probabilities of each part of straying, of each T, and of each bow."""
        joint = self.weight.reshape(len(STRAYING), len(T), len(BOW))
        return joint.sum(axis=(1, 2)), joint.sum(axis=(0, 2)), joint.sum(axis=(0, 1))


class Evidence(NamedTuple):
    """What a finished run says; both are log densities, its true end integrated out.

    Attributes:
        curve: (parts of straying, medians of T, bows) of a few of its looks.
        early: (parts of straying, T, bows) of the one look that shows how far such runs stray.
    """

    curve: FloatArray
    early: FloatArray


def cell(finished: Sequence[Finished]) -> Cell:
    """Return the posterior of straying, T and bow given the finished runs of a cell; a cold one has the prior."""
    return known(len(finished), [evidence(run) for run in finished] if len(finished) >= FEWEST else [])


def known(runs: int, evidences: Sequence[Evidence]) -> Cell:
    """Put together what finished runs say; that of fewer than ``FEWEST`` does not count."""
    of_typical, told = _of_typical(), evidences if runs >= FEWEST else ()
    prior = _normal(np.log(TYPICAL_T), np.log(T_CENTRE), T_CENTRE_SD)[:, None] * _normal(BOW, 0.0, BOW_SD)
    log_weight = np.tile(np.log(prior), (len(STRAYING), 1, 1))
    for each in told:
        log_weight += each.curve
    weight = np.exp(log_weight - log_weight.max(axis=(1, 2), keepdims=True))
    joint = of_typical.T @ (weight / weight.sum(axis=(1, 2), keepdims=True))
    part = _parts([_log_mean(joint, each.early) for each in told]) if told else np.where(STRAYING == 1, 1.0, 0.0)
    return Cell(runs, (joint * part[:, None, None]).reshape(-1, len(BOW)))


def _parts(told: Sequence[FloatArray]) -> FloatArray:
    """(parts,) shares of a cell's runs that stray by each part, given the (parts,) log densities of finished ones.

    Every run has its own part. The shares are the most probable ones, with ``STRAYING_RUNS`` runs that stray as the
    prior says (EM).
    """
    log_density = np.array(told)
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    share = STRAYING_PRIOR
    for _ in range(EM_STEPS):
        mine = share * density
        counts = STRAYING_RUNS * STRAYING_PRIOR + (mine / mine.sum(axis=1, keepdims=True)).sum(axis=0)
        share = counts / counts.sum()
    return np.asarray(share)


def _log_mean(weight: FloatArray, log_density: FloatArray) -> FloatArray:
    """(parts of straying,) log of mean densities."""
    top = log_density.max(axis=(1, 2), keepdims=True)
    mean = (weight * np.exp(log_density - top)).sum(axis=(1, 2))
    return np.asarray(top[:, 0, 0] + np.log(np.maximum(mean, np.finfo(np.float64).tiny)))


def _of_typical() -> FloatArray:
    """(medians, T) probabilities of a run's T given its cell's median."""
    found = _normal(np.log(T), np.log(TYPICAL_T)[:, None], T_SD)
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def evidence(run: Finished) -> Evidence:
    """Return what a finished run says of its cell."""
    likelihood = _log_likelihood(_at(run, TOLD_AT))
    top = likelihood.max()
    with np.errstate(divide="ignore"):
        curve = np.asarray(top + np.log(_of_typical() @ np.exp(likelihood - top)))
    return Evidence(curve, _log_likelihood(_at(run, (STRAYING_AT,))))


def _at(run: Finished, shares: Sequence[float]) -> Finished:
    """Keep the looks nearest to some shares of the steps."""
    nearest = {int(np.argmin(np.abs(run.curve.t - share))) for share in shares}
    return run._replace(curve=run.curve.take(np.array(sorted(nearest))))


def _log_likelihood(run: Finished) -> FloatArray:
    """(parts of straying, T, bows) log density of a run's looks: N(D; Y h + b x, C + v h h')."""
    h, x = shapes(run.curve.t)
    C = covariance(h, x, run.curve, straying_of_ways()) + run.end_var * h[:, :, None] * h[:, None, :]
    parts = Whitened.of(C, run.curve.gain - run.end * h, x)
    quadratic = parts.sums(0, 0)[:, -1:] - 2 * BOW * parts.sums(0, 1)[:, -1:] + BOW**2 * parts.sums(1, 1)[:, -1:]
    return np.asarray(-0.5 * quadratic - parts.log_sd[:, -1:]).reshape(len(STRAYING), len(T), len(BOW))


def _normal(value: FloatArray, mean: FloatArray | float, sd: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * ((value - mean) / sd) ** 2))
