"""The probe's arithmetic, wherever its scores come from: the paired gap, its standard error and variance, controls.

LAW.md, "The size of a probe"; OPSD.md, Probe.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from gapcast.contract.probes import (
    Arm,
    Control,
    Controls,
    Covariates,
    Difference,
    Gap,
    Leak,
    LogRatio,
    ProbeResult,
    VarianceComponents,
)

VARIANCE_FLOOR = 1e-4
"""The least variance of the paired differences: problems that all agree by chance do not make a gap certain."""

Scores = npt.NDArray[np.float64]
"""Scores of one arm, shape (problems, rollouts)."""


@dataclass(frozen=True)
class Estimate:
    """A mean over problems with its standard error, both in accuracy (0 to 1)."""

    value: float
    se: float

    def as_dict(self) -> dict[str, float]:
        """`{"value", "se"}`."""
        return {"value": self.value, "se": self.se}


def differences(arm: Scores, base: Scores) -> npt.NDArray[np.float64]:
    """Mean score of `arm` minus that of `base`, per problem."""
    return np.asarray(arm.mean(axis=1) - base.mean(axis=1), dtype=np.float64)


def estimate(arm: Scores, base: Scores) -> Estimate:
    """Mean difference of two arms over problems, and a standard error that holds at accuracies of 0 and 1.

    Its square is var_j(d_j) / P, and at least what `arm_variance` allows both arms (LAW.md part 3, "Variance at the
    ends"): where both solve nothing, or everything, the differences do not vary. One rollout does not show its own
    variance, so there the arms' least variances are added.
    """
    return _estimate(arm, base, 0.0)


def guarded(arm: Scores, base: Scores) -> Estimate:
    """The same for a probe that stops by its own width: variance var_j(d_j) + 2/P, never below that of `estimate`.

    The guard is two more problems that the context alone solves. Without one a probe stops where few problems happen to
    agree, and LAW.md's 1/P^2 is not enough at one rollout a problem: at a student accuracy of .03 and a gap of .05 the
    95 % interval covered .86 (.69 with its pilot of 16). With this guard it covers .94 or more (docs/measurements.md).
    """
    return _estimate(arm, base, 2 / len(arm))


def _estimate(arm: Scores, base: Scores, guard: float) -> Estimate:
    d = differences(arm, base)
    spread = float(np.var(d, ddof=1))
    least = arm_variance(arm) + arm_variance(base) + (spread / len(d) if arm.shape[1] == 1 else 0.0)
    variance = max(max(spread + guard, VARIANCE_FLOOR) / len(d), least)
    return Estimate(float(np.mean(d)), float(np.sqrt(variance)))


def arm_variance(scores: Scores) -> float:
    """Least variance of an arm's mean: max(w, 1/(P K + 2))/(P K), as if one of P K + 2 rollouts had ended otherwise."""
    return max(within_variance(scores) or 0.0, 1 / (scores.size + 2)) / scores.size


def standard_error(scores: Scores) -> float:
    """Standard error over problems of an arm's mean score."""
    variance = max(float(np.var(scores.mean(axis=1), ddof=1)) / len(scores), arm_variance(scores))
    return float(np.sqrt(variance))


def sampling_covariance(dx: npt.NDArray[np.float64], dy: npt.NDArray[np.float64]) -> float:
    """Covariance of two means over the same problems, cov_j(dx_j, dy_j) / P (LAW.md, Model)."""
    return float(np.cov(dx, dy, ddof=1)[0, 1] / len(dx))


def within_variance(scores: Scores) -> float | None:
    """Returns w = mean_j p_j (1 - p_j) K / (K - 1), one rollout's variance about its problem's mean; null for K = 1.

    For scores of 0 and 1 this is the mean over problems of the unbiased sample variance, which is what is computed.
    """
    if scores.shape[1] < 2:
        return None
    return float(np.mean(np.var(scores, axis=1, ddof=1)))


def variance_components(student: Scores, teacher: Scores) -> VarianceComponents:
    """sigma_d^2 = var_j(d_j) - (w_s + w_t) / K, w_s and w_t: what sizes the next probe."""
    w_student, w_teacher = within_variance(student), within_variance(teacher)
    sigma_d2 = None
    if w_student is not None and w_teacher is not None:
        spread = float(np.var(differences(teacher, student), ddof=1))
        sigma_d2 = spread - (w_student + w_teacher) / student.shape[1]
    return VarianceComponents(sigma_d2=sigma_d2, w_student=w_student, w_teacher=w_teacher)


def counts(scores: Scores) -> list[int | float]:
    """The sum of every problem's scores: successes where the verifier only knows 0 and 1."""
    sums: Sequence[float] = scores.sum(axis=1).tolist()
    return [int(total) if float(total).is_integer() else total for total in sums]


def pass_at_k(scores: Scores) -> dict[str, float]:
    """Share of problems that k rollouts solve at least once, for k = 1, 2, 4, ... and all K.

    Unbiased: 1 - C(K - c, k) / C(K, k) for c successes of K (arXiv 2107.03374, equation 1). A success has score 1.
    """
    rollouts = scores.shape[1]
    successes = (scores >= 1).sum(axis=1)
    sizes = sorted({2**power for power in range(rollouts.bit_length()) if 2**power <= rollouts} | {rollouts})
    return {
        str(k): float(np.mean([1 - comb(rollouts - int(c), k) / comb(rollouts, k) for c in successes])) for k in sizes
    }


def mean_sd(scores: Scores) -> float:
    """Mean over problems of sqrt(p (1 - p)), p the problem's mean score: how undecided the model is."""
    p = scores.mean(axis=1)
    return float(np.mean(np.sqrt(np.clip(p * (1 - p), 0, None))))


def result_of(
    scores: Mapping[str, Scores],
    arms: Mapping[str, Arm],
    problem_ids: Sequence[str],
    *,
    judge: Callable[[Scores, Scores], Estimate] = estimate,
    leak: Leak | None = None,
    log_ratio: LogRatio | None = None,
    contexts_missing: float = 0.0,
) -> ProbeResult:
    """Return a probe's result from the scores of its arms.

    Args:
        scores: of each arm by name, (problems, rollouts); `student` and `context` are there, and two problems.
        arms: the same arms as the result shows them.
        problem_ids: in the order of the scores.
        judge: the mean difference of two arms and its error.
        leak: how much may be copying; None: unknown.
        log_ratio: of the student's tokens; None: unknown.
        contexts_missing: share of the self-teacher's rollouts without a context.
    """
    student, teacher = scores["student"], scores["context"]
    accuracy = float(student.mean())

    def control(name: str) -> Control | None:
        return Control(**judge(scores[name], student).as_dict()) if name in scores else None

    net = judge(teacher, scores["placebo"]) if "placebo" in scores else None
    return ProbeResult(
        gap=Gap(
            **judge(teacher, student).as_dict(),
            student=accuracy,
            self_teacher=float(teacher.mean()),
            problems=len(problem_ids),
            rollouts=student.shape[1],
        ),
        net_gap=Difference(**net.as_dict()) if net is not None else None,
        arms=dict(arms),
        problem_ids=list(problem_ids),
        controls=Controls(
            none=control("none"),
            placebo=control("placebo"),
            shuffled_feedback=control("shuffled_feedback"),
            leak=leak,
        ),
        contexts_missing=contexts_missing,
        variance=variance_components(student, teacher),
        covariates=Covariates(
            headroom=1 - accuracy, pass_at_k=pass_at_k(student), mean_sd=mean_sd(student), log_ratio=log_ratio
        ),
    )
