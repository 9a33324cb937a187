"""Means of paired differences: a gap's or an improvement's value and error (docs: LAW, "The size of a probe")."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

VARIANCE_FLOOR = 1e-4
"""The least variance of the paired differences: problems that all agree by chance do not make a gap certain."""

DIFFICULTY_SD, OWN_SD = 2.0, 1.0  # of problems, and of a problem for the other arm: LAW's generating process, in logits
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)  # accuracies to 1e-4, down to a mean of SMALLEST_ACCURACY
WEIGHTS = WEIGHTS / WEIGHTS.sum()
SMALLEST_ACCURACY = 1e-4  # 0 and 1 are measured, no logit is infinite
FARTHEST = 40.0  # logits


class Measured(NamedTuple):
    """A mean over problems, in accuracy, and its sampling variance."""

    value: float
    variance: float

    @property
    def se(self) -> float:
        """Standard error."""
        return float(np.sqrt(self.variance))


def paired(d: ArrayLike) -> Measured:
    """Mean of (P,) per-problem differences, with variance max(var_j(d_j), 1e-4) / P.

    Raises:
        ValueError: fewer than 2 problems.
    """
    difference = np.asarray(d, dtype=np.float64)
    if difference.ndim != 1 or len(difference) < 2:
        raise ValueError(f"differences of shape {difference.shape}: a variance takes 2 problems or more")
    variance = max(float(np.var(difference, ddof=1)), VARIANCE_FLOOR)
    return Measured(float(np.mean(difference)), variance / len(difference))


def covariance(dx: ArrayLike, dy: ArrayLike, n_x: int, n_y: int) -> float:
    """Covariance of the sampling errors of two means that share problems (docs: LAW, Model).

    m/(n_x n_y) cov_j(dx_j, dy_j), which is cov_j/P where all problems are shared. Never more than the variances that
    ``paired`` gives these means allow: a few shared problems can vary more than all of them, and are then cut to what
    they alone prove of each variance; with all shared that is rounding.

    Args:
        dx: (m,) differences on the shared problems.
        dy: (m,) the other mean's, in the same order.
        n_x: problems behind the first mean.
        n_y: problems behind the second.

    Returns:
        0 for fewer than 2 shared problems.

    Raises:
        ValueError: dx and dy differ in length, or more problems are shared than a mean has.
    """
    x, y = np.asarray(dx, dtype=np.float64), np.asarray(dy, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) > min(n_x, n_y):
        raise ValueError(f"shared differences of shapes {x.shape} and {y.shape} for means over {n_x} and {n_y}")
    m = len(x)
    if m < 2:
        return 0.0
    (var_x, cov), (_, var_y) = np.cov(x, y, ddof=1)
    # whatever the other problems are, their squares only add to those of the shared ones
    least_x, least_y = (
        max(var * (m - 1) / (n - 1), VARIANCE_FLOOR) / n for var, n in ((float(var_x), n_x), (float(var_y), n_y))
    )
    most = float(np.sqrt(least_x * least_y))
    return float(np.clip(cov / (n_x * n_y / m), -most, most))


def arm_variance(within: float | None, problems: int, rollouts: int) -> float:
    """Least variance of one arm's mean over P problems with K rollouts each (docs: LAW part 3, "Variance at the ends").

    max(w, 1/(P K + 2))/(P K): as if one of P K + 2 rollouts had gone the other way. With K = 1 nothing tells w, and
    1/((P + 2) P) is added to what the differences show.
    """
    rolls = problems * rollouts
    return max(0.0 if within is None else within, 1 / (rolls + 2)) / rolls


def paired_arms(student: ArrayLike, other: ArrayLike, rollouts: int) -> Measured:
    """Mean difference of two arms' (P,) accuracies, each of K scores of 0 or 1, and a variance that holds at 0 and 1.

    Where both arms solve nothing, or everything, the differences do not vary: 0 of 48 twice is 0 +- 2.9 points, not 0.
    A pair of single rollouts on two problems is 0 +- 50.

    Raises:
        ValueError: fewer than 2 problems, or arms of different lengths.
    """
    p, q = np.asarray(student, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if p.shape != q.shape:
        raise ValueError(f"other: expected the {p.shape} accuracies of the same problems, got {q.shape}")
    value, least = paired(q - p)
    each = [arm_variance(within_variance(arm, rollouts), len(p), rollouts) for arm in (p, q)]
    if rollouts == 1:
        return Measured(value, float(np.var(q - p, ddof=1)) / len(p) + sum(each))
    return Measured(value, max(least, sum(each)))


class Components(NamedTuple):
    """What the variance of a measured gap is made of (docs: LAW, "The size of a probe").

    Attributes:
        sigma_d2: variance over problems of the difference of the two arms' true accuracies. As an estimate it can be
            negative.
        w_student, w_teacher: mean p (1 - p), one rollout's variance about its problem's accuracy.
    """

    sigma_d2: float
    w_student: float
    w_teacher: float

    def variance(self, problems: int, rollouts: int) -> float:
        """Sampling variance of a gap over P problems with K rollouts each and arm: paired, floored like ``paired``.

        It goes with 1/P, as plans of a probe's size need it.
        """
        return max(self.sigma_d2 + (self.w_student + self.w_teacher) / rollouts, VARIANCE_FLOOR) / problems

    def measured_variance(self, problems: int, rollouts: int) -> float:
        """Sampling variance of a gap that was measured so, floored like ``paired_arms``."""
        least = sum(arm_variance(within, problems, rollouts) for within in (self.w_student, self.w_teacher))
        return max(self.variance(problems, rollouts), least)


def within_variance(accuracies: ArrayLike, rollouts: int) -> float | None:
    """Estimate w = mean_j p_j (1 - p_j) K/(K - 1) from (P,) accuracies, each of K scores of 0 or 1; None for K = 1."""
    p = np.asarray(accuracies, dtype=np.float64)
    return None if rollouts < 2 else float(np.mean(p * (1 - p))) * rollouts / (rollouts - 1)


def measured_components(d: ArrayLike, w_student: float, w_teacher: float, rollouts: int) -> Components:
    """Split the variance of (P,) differences: sigma_d2 = var_j(d_j) - (w_s + w_t)/K."""
    spread = float(np.var(np.asarray(d, dtype=np.float64), ddof=1))
    return Components(spread - (w_student + w_teacher) / rollouts, w_student, w_teacher)


def assumed_components(student: float, gap: float) -> Components:
    """Guess the components from a student accuracy and a gap alone, by LAW's generating process of problems.

    Difficulty theta ~ N(m, 2^2), student expit(theta), the other arm expit(m' + theta - m + N(0, 1)), with m and m'
    solved for the two means. The two arms are alike: ``gap`` can be an improvement. Means of 0, of 1 or beyond are
    taken as 1e-4 from there, where the floor of ``Components.variance`` rules. docs: LAW, Acceptance.
    """
    difficulty = DIFFICULTY_SD * NODES
    own = OWN_SD * NODES
    both_sd = np.hypot(DIFFICULTY_SD, OWN_SD)
    p_student = expit(_centre(student, DIFFICULTY_SD) + difficulty)
    p_other = expit(_centre(student + gap, float(both_sd)) + difficulty[:, None] + own)
    # given a problem's difficulty the two arms are independent
    mean, square = p_other @ WEIGHTS, p_other**2 @ WEIGHTS
    d_mean = WEIGHTS @ (mean - p_student)
    d_square = WEIGHTS @ (square - 2 * mean * p_student + p_student**2)
    return Components(
        float(d_square - d_mean**2), float(WEIGHTS @ (p_student - p_student**2)), float(WEIGHTS @ (mean - square))
    )


def _centre(accuracy: float, sd: float) -> float:
    """Mean logit of problems that spread by ``sd`` and are solved with this mean accuracy."""
    from scipy.optimize import brentq  # takes longer to import than the law

    wanted = min(max(accuracy, SMALLEST_ACCURACY), 1 - SMALLEST_ACCURACY)
    return float(brentq(lambda centre: WEIGHTS @ expit(centre + sd * NODES) - wanted, -FARTHEST, FARTHEST))
