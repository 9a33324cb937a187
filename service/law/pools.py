"""The whole law: its pools, which of them answers for a run, and how they are fitted (docs: LAW part 2)."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from service.law import collapse
from service.law.cautions import DECIDED
from service.law.contexts import dilution
from service.law.diagnostics import Diagnostics, curvature_p_value
from service.law.exposure import GapSums
from service.law.fitting import Fit, Stored
from service.law.keys import FEWEST_OTHERS, Key, Rule, counted, divided, within
from service.law.leaves import Leaf
from service.law.links import LinkName
from service.law.models import candidates
from service.law.observations import Observations
from service.law.state import ModelState, PoolState, summaries
from service.law.weighing import weighed


class Borrowed(NamedTuple):
    """What another pool lends a law: families that stand beside its own in the hierarchy, for cold starts.

    Attributes:
        families: rows of each.
        left_out: families that were not lent, because the law has rows of its own of that name.
        ids_hash: as ``LawState.ids_hash``, of all rows that were offered.
    """

    families: Mapping[str, int]
    left_out: tuple[str, ...]
    ids_hash: str | None


@dataclass(frozen=True, eq=False)
class LawState:
    """The fitted law.

    Attributes:
        links: names of the links that were asked for.
        pools: each rule's, and those of its divergences that were fitted alone. A law that was written before there
            were any has one pool, ``undivided``, that answers for everything.
        counts: stored points by leaf and key. keys: those that occur.
        ids_hash: SHA-256 of the observations' ids in their order; ``None`` if they had none. An update chains.
        dilution: the spread of a gap over problems was asked to count.
        borrowed: what is lent to it.
    """

    links: tuple[str, ...]
    pools: Mapping[Key, PoolState]
    counts: Mapping[Leaf, Mapping[Key, int]]
    keys: frozenset[Key]
    ids_hash: str | None
    undivided: bool = False
    dilution: bool = False
    borrowed: Borrowed | None = None

    @property
    def whole(self) -> list[PoolState]:
        """The rules' pools, or the only one: each row is in one of them."""
        return [pool for key, pool in self.pools.items() if key == key.whole]

    @property
    def families(self) -> dict[str, int]:
        """Stored points of each family, those known as collapsed left out."""
        found: Counter[str] = Counter()
        for pool in self.whole:
            found.update({name: summary.n for name, summary in pool.families.items()})
        return dict(sorted(found.items()))

    @property
    def cells(self) -> set[str]:
        """Cells of which something is stored."""
        return {cell for pool in self.whole for _, cell in pool.leaves if cell is not None}

    @property
    def curvature(self) -> float:
        """P-value of the test for bending: the straight rules' smallest times their number, NaN where there is none."""
        straight = [pool for pool in self.whole if pool.linear_weight >= DECIDED]
        found = [pool.curvature for pool in straight if not np.isnan(pool.curvature)]
        return min(1.0, len(found) * min(found)) if found else float("nan")

    @property
    def p_collapse(self) -> float:
        """Probability that a run collapses, averaged over the stored ones; the prior's where there are none."""
        n = sum(pool.gaps.n for pool in self.whole)
        if not n:
            return collapse.probability(0.0, 0)
        return sum(pool.gaps.n * pool.p_collapse for pool in self.whole) / n

    def home(self, family: str, cell: str | None) -> Key:
        """Where most points of a leaf are, else of its family, else of all; with nothing stored, any teacher's."""
        own, kin, every = (Counter[Key]() for _ in range(3))
        for leaf, counts in self.counts.items():
            every.update(counts)
            if leaf[0] == family:
                kin.update(counts)
            if leaf == (family, cell):
                own.update(counts)
        ours = own or kin or every
        return max(sorted(ours), key=ours.__getitem__, default=Key.of(None, None))

    def answering(self, key: Key, leaf: Leaf) -> PoolState:
        """Pool of a run: its key's where two other leaves are in it, else its rule's, else nothing but the prior."""
        if self.undivided:
            return next(iter(self.pools.values()))
        own = self.pools.get(key)
        if own is not None and own.others(leaf) >= FEWEST_OTHERS:
            return own
        return self.pools.get(key.whole) or _nothing(key.rule, self.links)


@lru_cache
def _nothing(rule: Rule, links: tuple[str, ...]) -> PoolState:
    nothing = Observations(gap=[], gap_var=[], improvement=[], improvement_var=[], family=[])
    return fit_pool(nothing, rule, links)[0]


def fit_law(
    observations: Observations, links: tuple[str, ...], lent: Observations | None = None, *, dilutes: bool = False
) -> tuple[LawState, Diagnostics]:
    """Fit every pool, and diagnose each row by the pool that answers for it.

    Families of ``lent`` stand beside those of the observations, each in the pool of its runs; a family that has
    observations keeps those alone.
    """
    pools: dict[Key, PoolState] = {}
    found = Diagnostics.blank(len(observations))
    borrowed = None
    if lent is not None:
        lent, borrowed = _lent(lent, set(observations.family))
    for key, rows in divided(observations, lent).items():  # a rule's pool comes before those of its divergences
        part = observations if len(rows) == len(observations) else observations.take(rows)
        beside = None if lent is None else lent.take(within(key, lent))
        pool, fits = fit_pool(part, key.rule, links, beside, dilutes=dilutes)
        pools[key] = pool
        enough = key == key.whole or np.array(
            [pool.others(leaf) >= FEWEST_OTHERS for leaf in zip(part.family, part.cell, strict=True)]
        )
        found.put(rows, Diagnostics.mixed(fits), enough)
    ids = observations.ids
    counts = counted(observations)
    keys = frozenset(key for each in counts.values() for key in each)
    hashed = None if ids is None else chained("", ids)
    return LawState(links, pools, counts, keys, hashed, dilution=dilutes, borrowed=borrowed), found


def _lent(offered: Observations, own: set[str]) -> tuple[Observations, Borrowed]:
    """Leave out families that the law has rows of."""
    kept = offered.take(np.flatnonzero([family not in own for family in offered.family]))
    return kept, Borrowed(
        families=dict(sorted(Counter(kept.family).items())),
        left_out=tuple(sorted(own & set(offered.family))),
        ids_hash=None if offered.ids is None else chained("", offered.ids),
    )


def fit_pool(
    observations: Observations,
    rule: Rule,
    links: Sequence[str],
    lent: Observations | None = None,
    *,
    dilutes: bool = False,
) -> tuple[PoolState, list[tuple[Fit, float]]]:
    """Fit every model and weigh them by their evidence; one point without a baseline leaves the line alone."""
    lent = lent if lent is not None and len(lent) else None
    stored = Stored.of(observations, lent, dilution=dilutes)
    without_baseline = any(np.isnan(each.baseline).any() for each in (observations, lent) if each is not None)
    straightened = without_baseline and tuple(links) != (LinkName.LINEAR,)
    prior = candidates([LinkName.LINEAR] if straightened else links, rule, contexts=stored.context_level)
    fits, line = weighed(stored, prior)
    pool = PoolState(
        exposure=stored.exposure,
        families=summaries(observations),
        baseline=float(np.median(observations.baseline)) if len(observations) else float("nan"),
        curvature=float("nan") if line is None else curvature_p_value(line),
        gaps=GapSums.of(observations),
        models=tuple(ModelState.of(*pair) for pair in fits),
        straightened=straightened,
        contexts_known=any(context is not None for context in observations.context),
        wants_spread=dilutes,
        dilutions=_dilutions(observations) if stored.context_level else None,
        lent={} if lent is None else dict(sorted(Counter(lent.family).items())),
    )
    return pool, fits


def _dilutions(observations: Observations) -> tuple[float, float, float] | None:
    w = dilution(observations.gap_spread, observations.gap)
    return None if not len(w) or np.isnan(w).any() else (float(w.min()), float(np.median(w)), float(w.max()))


def chained(previous: str, ids: tuple[str, ...]) -> str:
    """Hash ids in their order, after those that ``previous`` stands for."""
    return hashlib.sha256((previous + json.dumps(ids)).encode()).hexdigest()
