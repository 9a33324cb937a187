"""Plays a comparison on scores that are known beforehand, round by round, as a worker would."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from service.deciding import Configuration, Decision, Known, Rules, cost, decide
from service.law import GapLaw
from service.law.observations import FloatArray
from service.law.paired import DIFFICULTY_SD, OWN_SD, Measured, measured_components, paired_arms, within_variance

MOST_LOOKS = 200
"""a comparison that goes on for longer is a fault"""


class Scores(NamedTuple):
    """Accuracies of N problems in the comparison's order: the student's (N,), and each configuration's (P, N)."""

    student: FloatArray
    arms: FloatArray
    rollouts: int

    def gap(self, row: int, problems: int) -> Measured:
        """One configuration's gap on the first problems."""
        return paired_arms(self.student[:problems], self.arms[row, :problems], self.rollouts)

    def known(self, row: int, problems: int) -> Known | None:
        """One configuration's first problems, as ``decide`` takes them."""
        if not problems:
            return None
        student, arm = self.student[:problems], self.arms[row, :problems]
        within = [within_variance(each, self.rollouts) for each in (student, arm)]
        spread = None
        if within[0] is not None and within[1] is not None:
            spread = measured_components(arm - student, within[0], within[1], self.rollouts).sigma_d2
        return Known(arm - student, self.gap(row, problems).variance, float(student.mean()), spread)


class Played(NamedTuple):
    """A comparison that has ended.

    Attributes:
        first: the decision after the first round. last: the one that stopped.
        problems: (P,) measured of each.
        spent: rollouts.
        looks: decisions after the first round, itself among them.
    """

    first: Decision
    last: Decision
    problems: FloatArray
    spent: int
    looks: int


def play(
    laws: Sequence[GapLaw], configurations: Sequence[Configuration], scores: Scores, rules: Rules, budget: int
) -> Played:
    """Decide until there is a reason to stop."""
    have = dict.fromkeys(range(len(configurations)), 0)
    decisions: list[Decision] = []
    gone: frozenset[int] = frozenset()
    left = budget
    for number in range(MOST_LOOKS):
        known = [scores.known(row, have[row]) for row in have]
        decision = decide(laws, configurations, known, rules, budget=left, eliminated=gone, round=number)
        decisions.append(decision)
        if decision.stop is not None:
            looks = decisions[1:]
            return Played(looks[0], decision, np.array(list(have.values())), budget - left, len(looks))
        left -= cost(configurations, have, decision.more)
        have.update(decision.more)
        gone = decision.eliminated
    raise RuntimeError(f"no stop in {MOST_LOOKS} looks")


def simulated(
    rng: np.random.Generator, student: float, gaps: FloatArray, problems: int, rollouts: int
) -> tuple[Scores, FloatArray]:
    """Draw scores by LAW's generating process; and the true gaps, which clip at an accuracy of .99.

    Problem difficulty theta ~ N(m, 2^2), student expit(theta), each configuration expit(m' + theta - m + N(0, 1)).
    """
    wanted = np.clip(student + gaps, 0.01, 0.99)
    difficulty = DIFFICULTY_SD * rng.standard_normal(problems)
    own = OWN_SD * rng.standard_normal((len(gaps), problems))
    plain = rng.binomial(rollouts, expit(_centre(student, DIFFICULTY_SD) + difficulty)) / rollouts
    both = float(np.hypot(DIFFICULTY_SD, OWN_SD))
    centres = np.array([_centre(each, both) for each in wanted])
    arms = rng.binomial(rollouts, expit(centres[:, None] + difficulty + own)) / rollouts
    return Scores(plain, arms, rollouts), wanted - student


CENTRES = np.linspace(-25.0, 25.0, 2001)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)


@cache
def _accuracies(sd: float) -> FloatArray:
    """Mean accuracies of problems with their mean logits at ``CENTRES``."""
    return np.asarray(expit(CENTRES[:, None] + sd * NODES) @ (WEIGHTS / WEIGHTS.sum()))


def _centre(accuracy: float, sd: float) -> float:
    """Mean logit of problems that are solved with this mean accuracy."""
    return float(np.interp(accuracy, _accuracies(sd), CENTRES))
