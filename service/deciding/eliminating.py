"""Elimination within a group, by confidence sequences: they hold however often, and whenever, one looks."""

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from service.deciding.configurations import Configuration, Known, Rules
from service.law.observations import FloatArray

FEWEST = 32
"""problems from which a sequence that holds asymptotically is looked at"""
TIGHTEST_AT = 131
"""problems at which its interval is narrowest (docs: LAW, "The size of a probe")"""
GUARD = 2.0
"""over n, added to the variance: two more problems that one context alone solves. Few problems may agree by chance."""


def half_width(sd: float, t: int, alpha: float) -> float:
    """Return the half-width of an asymptotic confidence sequence for a mean, after t problems.

    docs: LAW, "The size of a probe".
    """
    q = (-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))) / TIGHTEST_AT
    return float(sd * np.sqrt(2 * (t * q + 1) / (t**2 * q) * np.log(np.sqrt(t * q + 1) / alpha)))


def smaller(a: FloatArray, b: FloatArray, alpha: float) -> bool:
    """True if the first gap is shown to be smaller than the second, on their common problems."""
    t = min(len(a), len(b))
    if t < FEWEST:
        return False
    d = b[:t] - a[:t]
    return bool(d.mean() > half_width(float(np.sqrt(np.var(d, ddof=1) + GUARD / t)), t, alpha))


def eliminate(
    configurations: Sequence[Configuration], known: Sequence[Known | None], rules: Rules, before: frozenset[int]
) -> frozenset[int]:
    """Return all that have been eliminated, those of earlier looks among them.

    A configuration goes when ``pick`` others of its group that are still there have larger gaps. With K configurations
    each of its K - 1 tests has the risk (1 - confidence)/(K - 1), over all looks together.
    """
    gone = set(before)
    alpha = (1 - rules.confidence) / max(len(configurations) - 1, 1)
    beaten_by: dict[int, set[int]] = {}
    for (a, one), (b, other) in permutations(enumerate(known), 2):
        if one is None or other is None or configurations[a].paired != configurations[b].paired:
            continue
        if smaller(one.differences, other.differences, alpha):
            beaten_by.setdefault(a, set()).add(b)
    for a in sorted(beaten_by, key=lambda a: -len(beaten_by[a])):
        if len(beaten_by[a] - gone) >= rules.pick:
            gone.add(a)
    return frozenset(gone)
