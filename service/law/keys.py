"""Which runs may lend each other strength: pools by teacher rule and divergence (docs: LAW part 2)."""

from collections import Counter
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from service.law.leaves import IndexArray, Leaf, Leaves
from service.law.observations import Observations


class Rule(StrEnum):
    """How the teacher relates to the student while it trains."""

    FROZEN = "frozen"
    CO_MOVING = "co_moving"
    LIVE = "live"


RULES = {
    "frozen": Rule.FROZEN,
    "trust_region": Rule.FROZEN,
    "ema": Rule.CO_MOVING,
    None: Rule.CO_MOVING,
    "live": Rule.LIVE,
}
"""an unknown teacher may move: only a known one is held to the line"""

UNKNOWN = "unknown"
ANY = "any"
FEWEST_OTHERS = 2


class Key(NamedTuple):
    """A pool: one rule with one divergence, with an ``unknown`` one, or with ``any``."""

    rule: Rule
    divergence: str

    @classmethod
    def of(cls, teacher: str | None, divergence: str | None) -> "Key":
        """Where a run belongs."""
        return cls(RULES[teacher], divergence or UNKNOWN)

    @property
    def teacher(self) -> str:
        """A teacher of the rule, to ask for the pool by."""
        return next(teacher for teacher, rule in RULES.items() if teacher is not None and rule is self.rule)

    @property
    def known_divergence(self) -> str | None:
        """The divergence, to ask for the pool by; ``None`` where it is not one."""
        return None if self.divergence in (UNKNOWN, ANY) else self.divergence

    @property
    def whole(self) -> "Key":
        """All divergences of the rule."""
        return Key(self.rule, ANY)


def divided(observations: Observations, lent: Observations | None = None) -> dict[Key, IndexArray]:
    """Rows of every pool that is to be fitted: each rule's, then each divergence's where it stands beside another.

    A divergence with fewer than two (family, cell) leaves could never answer alone, whatever is ``lent``; a rule
    without rows has a pool where something is lent to it.
    """
    rows_of = keyed(observations)
    beside = set() if lent is None else set(keyed(lent)) - set(rows_of)
    pools: dict[Key, IndexArray] = {}
    for rule in Rule:
        inside = [key for key in rows_of if key.rule is rule]
        others = any(key.rule is rule for key in beside)
        if inside or others:
            pools[Key(rule, ANY)] = within(Key(rule, ANY), observations)
        for key in inside if len(inside) > 1 or others else ():
            rows = rows_of[key]
            if len({(observations.family[row], observations.cell[row]) for row in rows}) >= FEWEST_OTHERS:
                pools[key] = rows
    return pools


def within(key: Key, observations: Observations) -> IndexArray:
    """Rows of a key, or of all divergences of its rule, in order."""
    ours = [rows for other, rows in keyed(observations).items() if key in (other, other.whole)]
    return np.sort(np.concatenate(ours)) if ours else np.empty(0, dtype=np.intp)


def keyed(observations: Observations) -> dict[Key, IndexArray]:
    """Rows of each key that occurs, in order."""
    said = list(zip(observations.teacher, observations.divergence, strict=True))
    key_of = {pair: Key.of(*pair) for pair in dict.fromkeys(said)}
    places = {key: place for place, key in enumerate(sorted(set(key_of.values())))}
    of_said = {pair: places[key] for pair, key in key_of.items()}
    of_row = np.fromiter(map(of_said.__getitem__, said), dtype=np.intp, count=len(said))
    return {key: np.flatnonzero(of_row == place) for key, place in places.items()}


def counted(observations: Observations) -> dict[Leaf, dict[Key, int]]:
    """Number of points by leaf and key, in order; those known as collapsed are none."""
    said = (observations.family, observations.cell, observations.teacher, observations.divergence)
    rows = zip(*said, observations.collapsed.tolist(), strict=True)
    found: dict[Leaf, Counter[Key]] = {}
    for (family, cell, teacher, divergence, collapsed), n in Counter(rows).items():
        found.setdefault((family, cell), Counter())[Key.of(teacher, divergence)] += 0 if collapsed else n
    return {leaf: dict(sorted(found[leaf].items())) for leaf in Leaves(found).keys}
