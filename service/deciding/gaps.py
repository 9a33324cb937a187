"""The gaps of all configurations together: problems that several share say more of their difference than of each."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from service.deciding.configurations import Known
from service.law.exposure import PRIOR_SD
from service.law.observations import FloatArray
from service.law.paired import VARIANCE_FLOOR

UNKNOWN_MEAN, UNKNOWN_VARIANCE = 0.15, 0.02
"""of a gap without a problem: those that people measure (docs: LAW, exposure). A wider one would come from the flat
part of the law's exposure, which is for gaps that were measured: 1 in 5 draws would gain or lose over 40 points."""
UNKNOWN_SPREAD = 0.15
"""variance of a difference over problems where none was measured: .12 in the median of the lab's probes (4 rollouts)"""
SMALLEST_EIGENVALUE = 0.02
"""of a correlation matrix: 36 pairs of problems and rollouts do not show a correlation above .98"""


SPREADS = PRIOR_SD * 2.0 ** np.arange(1, -6, -1)
"""of the true gaps within a comparison, before anything is measured: as much as all stored gaps, or much less"""
UNLIKELY = 0.02
"""probability below which a spread is left out"""


class Gaps(NamedTuple):
    """Sufficient statistics of P nested samples of problems, normal with a known covariance.

    Attributes:
        problems: (P,) measured of each.
        spread: (P, P) covariance of two configurations' differences on one problem.
        shift: (P,) precision times mean.
        likeness: (P, P) precision of what the configurations say of each other: gaps that differ by no more than their
            errors are drawn together, or the best of many would look better than it is.
        weight: (S,) probabilities of the ``SPREADS`` of the true gaps.
    """

    problems: FloatArray
    spread: FloatArray
    shift: FloatArray
    likeness: FloatArray
    weight: FloatArray

    @property
    def by_spread(self) -> "list[tuple[float, Gaps]]":
        """The likely spreads of the true gaps: the probability of each, and the gaps if it is the true one."""
        weight = np.where(self.weight < UNLIKELY, 0.0, self.weight)
        weight /= weight.sum()
        return [
            (float(weight[place]), self._replace(likeness=_likeness(self.problems, SPREADS[place] ** 2)))
            for place in np.flatnonzero(weight)
        ]

    def precision(self, problems: FloatArray) -> FloatArray:
        """(P, P) inverse covariance of the gaps' errors with so many problems of each, nested.

        Problems that a configuration lacks are regressed on those that share the rest with it. With as many problems
        of each, and no likeness, this is the inverse of spread/n, and the gaps are plain means.
        """
        found, before = np.diag(np.where(problems == 0, 1 / UNKNOWN_VARIANCE, 0.0)) + self.likeness, 0.0
        for level in np.unique(problems[problems > 0]):
            rows = np.flatnonzero(problems >= level)
            found[np.ix_(rows, rows)] += (level - before) * np.linalg.inv(self.spread[np.ix_(rows, rows)])
            before = level
        return found

    @property
    def cov(self) -> FloatArray:
        """(P, P) covariance of the errors."""
        cov = np.linalg.inv(self.precision(self.problems))
        return np.asarray((cov + cov.T) / 2)

    @property
    def mean(self) -> FloatArray:
        """(P,) gaps."""
        return np.clip(self.cov @ self.shift, -1.0, 1.0)


def gaps(known: Sequence[Known | None], students: Sequence[str]) -> Gaps:
    """Put the measurements of P configurations together; ``students`` name whose samples each shares."""
    problems = np.array([0.0 if each is None else len(each.differences) for each in known])
    # the arms' own floors and guards are in gap_var
    variance = np.array(
        [
            UNKNOWN_SPREAD if each is None else max(each.gap_var * len(each.differences), VARIANCE_FLOOR)
            for each in known
        ]
    )
    spread = _correlation(known, variance, students) * np.sqrt(np.outer(variance, variance))
    shift, before = np.where(problems == 0, UNKNOWN_MEAN / UNKNOWN_VARIANCE, 0.0), 0
    for level in np.unique(problems[problems > 0]).astype(int):
        rows = np.flatnonzero(problems >= level)
        each = [known[row] for row in rows.tolist()]
        sums = np.array([one.differences[before:level].sum() for one in each if one is not None])
        shift[rows] += np.linalg.solve(spread[np.ix_(rows, rows)], sums)
        before = level
    alone = Gaps(problems, spread, shift, np.zeros_like(spread), np.eye(len(SPREADS))[0])
    weight = _weight(alone)
    return alone._replace(weight=weight, likeness=_likeness(problems, float(weight @ SPREADS**2)))


def _weight(alone: Gaps) -> FloatArray:
    """(S,) posterior probabilities of the ``SPREADS``: true gaps ~ N(m, t^2) with any m, each t equally likely."""
    measured = np.flatnonzero(alone.problems)
    K = len(measured)
    if K < 2:
        return alone.weight
    gap, cov = alone.mean[measured], alone.cov[np.ix_(measured, measured)]
    log_weight = np.empty(len(SPREADS))
    for place, t in enumerate(SPREADS):
        total = cov + t**2 * np.eye(K)
        inverse = np.linalg.inv(total)
        off = gap - (inverse @ gap).sum() / inverse.sum()
        log_weight[place] = -0.5 * (np.linalg.slogdet(total)[1] + np.log(inverse.sum()) + off @ inverse @ off)
    return np.asarray(softmax(log_weight))


def _likeness(problems: FloatArray, variance: float) -> FloatArray:
    """(P, P) precision of the measured gaps' differences, where true gaps have this variance.

    It goes beyond that of the law's own prior, which draws gaps together by ``PRIOR_SD`` in any case.
    """
    measured = np.flatnonzero(problems)
    found, K = np.zeros((len(problems), len(problems))), len(measured)
    if K > 1:
        added = max(1 / variance - 1 / PRIOR_SD**2, 0.0)
        found[np.ix_(measured, measured)] = added * (np.eye(K) - 1 / K)
    return found


def _correlation(known: Sequence[Known | None], variance: FloatArray, students: Sequence[str]) -> FloatArray:
    """(P, P) positive definite correlations.

    P configurations on few problems would fit their noise. So a pair on m problems keeps m/(m + P) of its own and takes
    the rest from the mean of all pairs that, like it, share or do not share the student's samples.
    """
    P = len(known)
    own, weight = np.zeros((P, P)), np.zeros((P, P))
    same = np.equal.outer(np.array(students), np.array(students))
    for a, b in combinations(range(P), 2):
        one, other = known[a], known[b]
        m = 0 if one is None or other is None else min(len(one.differences), len(other.differences))
        if one is not None and other is not None and m > 1:
            cov = np.cov(one.differences[:m], other.differences[:m], ddof=1)[0, 1]
            own[a, b] = own[b, a] = np.clip(cov / np.sqrt(variance[a] * variance[b]), -1.0, 1.0)
            weight[a, b] = weight[b, a] = m / (m + P)
    found = np.zeros((P, P))
    for kind in (same, ~same):
        alike = kind & (weight > 0)
        target = own[alike].mean() if alike.any() else 0.0
        found[alike] = (weight * own + (1 - weight) * target)[alike]
    np.fill_diagonal(found, 1.0)
    values, vectors = np.linalg.eigh(found)
    found = (vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    sd = np.sqrt(np.diag(found))
    return np.asarray(found / np.outer(sd, sd))
