"""When a run that will not be worth it is stopped, and what that promises (docs: LIVE, "Stopping rule")."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from service.law.observations import BoolArray, FloatArray

FIRST, LAST = 0.05, 0.75
"""shares of the steps between which a run may be stopped: before, nothing is known; after, little is saved"""
ALPHA = 0.10
"""the threshold where none can be learnt"""
ERROR = 0.05
"""share of good runs that a learnt threshold may stop"""
ROUNDING = 1e-9
"""of error (n + 1), which is a whole number for 19 runs and 5 %"""


class Rule(NamedTuple):
    """Stop a run whose probability of ending above the gain that is worth it is below a threshold.

    Attributes:
        threshold: that probability; 0 stops nothing.
        learnt: from the good runs that are stored; if not, the threshold is ``alpha``.
        good_runs: finished runs with curves that ended above that gain.
        error: share of good runs that a learnt threshold may stop; None: nothing is learnt.
        alpha: the threshold that is not learnt.
        cold: True if it may stop a run of a cold cell, too.
    """

    threshold: float
    learnt: bool
    good_runs: int
    error: float | None
    alpha: float
    cold: bool

    def stops(self, t: float, p_good: float, *, is_cold: bool) -> bool:
        """Return True if a run is stopped at a look.

        Args:
            t: share of its steps.
            p_good: probability at this look of ending above the gain that is worth it.
            is_cold: too few finished runs of its cell are known.
        """
        return bool(may_stop(np.array([t]))[0]) and p_good < self.threshold and (self.cold or not is_cold)


def rule(lowest: ArrayLike, error: float | None = ERROR, alpha: float = ALPHA, *, cold: bool = False) -> Rule:
    """Learn the threshold if enough good runs are known; ``lowest`` as in ``threshold``."""
    learnt = threshold(lowest, error) if error is not None else None
    return Rule(alpha if learnt is None else learnt, learnt is not None, np.size(lowest), error, alpha, cold)


def may_stop(t: FloatArray) -> BoolArray:
    """Return which looks may stop a run."""
    return np.asarray((t >= FIRST - ROUNDING) & (t <= LAST + ROUNDING))


def lowest(t: FloatArray, p_good: FloatArray) -> float:
    """Return the lowest probability at the looks that may stop a run; 1 if there are none."""
    return float(p_good[may_stop(t)].min(initial=1.0))


def stopped_at(t: FloatArray, p_good: FloatArray, threshold: float) -> float | None:
    """Return the share of the steps at which a threshold stops a run; None: it is let finish."""
    below = t[may_stop(t) & (p_good < threshold)]
    return float(below[0]) if len(below) else None


def needed(error: float) -> int:
    """Return the fewest good runs from which a threshold is learnt, 1/error - 1."""
    return int(np.ceil(1 / error - 1 - ROUNDING))


def threshold(lowest: ArrayLike, error: float) -> float | None:
    """Return the learnt threshold of stopping: the j-th smallest of n, j = floor(error (n + 1)).

    A run is stopped when its probability of ending above the gain that is worth it falls below the threshold. A good
    run that is like the n ones is then stopped with probability `error` at most, whether or not the model is right.

    Args:
        lowest: (n,) for each finished run that ended above that gain, the lowest such probability over its looks, by a
            law and curves that do not know its context.
        error: share of good runs that may be stopped.

    Returns:
        None with fewer than 1/error - 1 runs, which cannot promise that.
    """
    ordered = np.sort(np.asarray(lowest, dtype=np.float64))
    j = int(error * (len(ordered) + 1) + ROUNDING)
    return float(ordered[j - 1]) if j else None


def most_good_stopped(alpha: float, p_good: float) -> float:
    """Bound the probability that a good run is ever stopped at a threshold `alpha`, if the model is right.

    By Ville's inequality, for any number of looks: alpha / (1 - alpha) x (1 - p) / p, p the law's probability before
    the run. P(good | stopped) is below `alpha` itself, as the probability is a martingale.

    Args:
        alpha: the threshold, in (0, 1).
        p_good: probability of a good end before the run has begun.
    """
    if p_good <= 0:
        return 1.0
    return min(1.0, alpha / (1 - alpha) * (1 - p_good) / p_good)


def is_checked(draw: int) -> bool:
    """Return True for the one stop in ten that is announced and not carried out, so that the promises can be checked.

    Args:
        draw: a whole number that the run's seed alone decides.
    """
    return draw % 10 == 0
