"""What a pool knows of a family's curve: where it runs, and the numbers that sum it up (docs: LAW part 2 "Report")."""

from collections.abc import Iterator

import numpy as np

from service.law.cautions import BASELINE_MISSING, DECIDED
from service.law.components import AT_ONCE, curve_normals, leaves_by_link
from service.law.leaves import Leaf
from service.law.links import LINKS, headroom
from service.law.mixture import NormalMixture
from service.law.observations import FloatArray
from service.law.prediction import Caution, Code, Coefficients, Estimate, Line
from service.law.state import REMEMBERED, PoolState

CONFIDENCE = 0.95
COMMON_GAP = 0.15
"""near the middle of what people measure: links and families are compared by the improvement here"""


def links(pool: PoolState) -> dict[str, float]:
    """Probability of each link."""
    return {
        name.value: sum((each.weight for each in pool.models if each.model.link is link), 0.0)
        for name, link in LINKS.items()
    }


def curve(
    pool: PoolState, family: str, cell: str | None, gaps: FloatArray, baseline: float | None, level: float
) -> Line:
    """Draw f(b0 + b1 x) at P true gaps x, with a *confidence* interval; the typical baseline stands for none."""
    H = headroom(np.full(len(gaps), pool.typical_baseline(family) if baseline is None else baseline))
    chunks = [slice(first, first + AT_ONCE) for first in range(0, len(gaps), AT_ONCE)]
    mixture = NormalMixture.stacked([_at(pool, (family, cell), gaps[some], H[some]) for some in chunks])
    return Line(mixture.centre, *mixture.interval(level))


def _at(pool: PoolState, leaf: Leaf, gaps: FloatArray, H: FloatArray) -> NormalMixture:
    w, leaves = pool.typical_dilution, [leaf] * len(gaps)
    mixture = NormalMixture.beside([curve_normals(link, at, gaps, H, w) for link, at in leaves_by_link(pool, leaves)])
    return mixture.merged() if len(pool.models) > 1 else mixture


def coefficients(pool: PoolState, family: str, cell: str | None, baseline: float | None) -> Coefficients:
    """Sum a family's curve up; a family or cell without points is one newly drawn from the level above."""
    intercept, slope = _line(pool, (family, cell))
    shares = links(pool)
    depends = max(shares.values()) <= DECIDED
    return Coefficients(
        slope=slope,
        intercept=intercept,
        improvement=_at_common_gap(pool, (family, cell), baseline),
        links=shares,
        depends_on_link=depends,
        warnings=tuple(_warnings(pool, depends)),
        family=family,
        cell=cell,
    )


def _at_common_gap(pool: PoolState, leaf: Leaf, baseline: float | None) -> Estimate:
    found = pool.improvements.get((leaf, baseline))
    if found is None:
        ends = curve(pool, *leaf, np.array([COMMON_GAP]), baseline, CONFIDENCE)
        if len(pool.improvements) >= REMEMBERED:
            pool.improvements.clear()
        found = pool.improvements[leaf, baseline] = Estimate(*(float(value[0]) for value in ends))
    return found


def _line(pool: PoolState, leaf: Leaf) -> tuple[Estimate, Estimate]:
    """Intercept and slope at gap 0, which no baseline changes."""
    found = pool.remembered.get(leaf)
    if found is None:
        each = [(one.weight, one.posterior, *one.posterior.coefficients(*leaf)) for one in pool.models]
        weight = np.concatenate([share * posterior.weight for share, posterior, _, _ in each])
        mean = np.concatenate([mean for *_, mean, _ in each], axis=1)
        sd = np.sqrt(np.concatenate([cov[[0, 2]] for *_, cov in each], axis=1))
        both = NormalMixture(np.stack([weight] * 2), mean, sd)
        ends = zip(both.centre.tolist(), *(b.tolist() for b in both.interval(CONFIDENCE)), strict=True)
        intercept, slope = (Estimate(*one) for one in ends)
        if len(pool.remembered) >= REMEMBERED:
            pool.remembered.clear()
        found = pool.remembered[leaf] = intercept, slope
    return found


def _warnings(pool: PoolState, depends: bool) -> Iterator[Caution]:
    if depends:
        message = f"the slope at gap 0 depends on the link: compare improvements at a gap of {COMMON_GAP} instead"
        yield Caution(Code.LINK_UNDECIDED, message)
    if pool.straightened:
        yield Caution(Code.BASELINE_MISSING, BASELINE_MISSING)
