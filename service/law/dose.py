"""How long a run trains: bins of steps, what a run's evaluations say of each, and collapses by dose (docs: LAW part 3).

Under a constant learning rate an evaluation at step s is the outcome of a run of s steps. A fit has one law a bin.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from service.law import collapse

STRETCH = 1.5
"""how far beyond the stored steps, or passes, a bin's law still answers"""


class Dose(IntEnum):
    """A bin of training steps, named by its last one; the last bin has no end."""

    TO_15 = 15
    TO_50 = 50
    TO_150 = 150
    TO_500 = 500
    OVER_500 = 10**9

    @classmethod
    def of(cls, steps: int) -> "Dose":
        """Find the bin of a number of steps.

        Raises:
            ValueError: fewer than 1.
        """
        if steps < 1:
            raise ValueError(f"steps: expected at least 1, got {steps}")
        return next(dose for dose in cls if steps <= dose)

    @property
    def first(self) -> int:
        """The bin's first step."""
        return max((other for other in Dose if other < self), default=0) + 1

    @property
    def last(self) -> int | None:
        """The bin's last step; ``None`` for the one without end."""
        return None if self is Dose.OVER_500 else int(self)


class Look(NamedTuple):
    """An evaluation of a run: improvement over its baseline after some steps, with its sampling variance.

    ``cov`` is the covariance of its sampling error with that of the gap.
    """

    step: int
    improvement: float
    variance: float
    cov: float = 0.0


def by_dose(looks: Sequence[Look], *, constant: bool) -> dict[Dose, Look]:
    """Find what a run's looks say of each bin: the improvement at the bin's last step that they cover.

    Between two looks, and between the baseline at step 0 and the first, improvements are taken as linear. Their errors
    share the baseline and are taken to move together, so that a value between two looks is never surer than both.

    Args:
        looks: in order of step.
        constant: True if the learning rate is. A schedule that is not counts for its own length only.

    Raises:
        ValueError: steps that do not ascend from 1 on.
    """
    steps = [look.step for look in looks]
    if any(later <= earlier for earlier, later in zip([0, *steps], steps, strict=False)):
        raise ValueError(f"looks: expected steps that ascend from 1 on, got {steps}")
    if not looks:
        return {}
    end = looks[-1]
    if not constant:
        return {Dose.of(end.step): end}
    return {dose: _at(looks, min(dose, end.step)) for dose in Dose if dose.first <= end.step}


def _at(looks: Sequence[Look], step: int) -> Look:
    after = next(look for look in looks if look.step >= step)
    if after.step == step:
        return after
    before = max((look for look in looks if look.step < step), default=Look(0, 0.0, 0.0))
    share = (step - before.step) / (after.step - before.step)
    sd = (1 - share) * before.variance**0.5 + share * after.variance**0.5
    improvement = (1 - share) * before.improvement + share * after.improvement
    return Look(step, improvement, sd**2, (1 - share) * before.cov + share * after.cov)


def outside(asked: float, stored: Iterable[float]) -> bool:
    """True if steps, or passes, lie more than 1.5 times beyond the stored ones, or nothing is stored."""
    known = list(stored)
    return not known or not min(known) / STRETCH <= asked <= max(known) * STRETCH


class Collapses(NamedTuple):
    """Runs of one teacher rule and divergence that tell of collapses up to a dose.

    Attributes:
        probability: Beta(1, 19) updated by them, never lower than at a smaller dose.
        collapsed: those that did. runs: those, and the others that trained as long as the bin asks or longer.
    """

    probability: float
    collapsed: int
    runs: int


def collapses(runs: Iterable[tuple[int, bool, int]]) -> dict[Dose, Collapses]:
    """Count collapses by dose.

    A run that ended well before a bin says nothing of it: 400 good runs of 150 steps do not make one of 1,000 safe.

    Args:
        runs: steps, whether they collapsed, and the number of such runs.
    """
    known = [(Dose.of(steps), gone, n) for steps, gone, n in runs]
    found, least = {}, 0.0
    for dose in Dose:
        collapsed = sum(n for reached, gone, n in known if gone and reached <= dose)
        total = collapsed + sum(n for reached, gone, n in known if reached >= dose and not (gone and reached == dose))
        least = max(least, collapse.probability(total - collapsed, total))
        found[dose] = Collapses(least, collapsed, total)
    return found
