"""What a fitted law keeps once its rows are gone: enough to predict, to be written down and to take one more row."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from service.law.diagnostics import curvature_p_value
from service.law.exposure import Exposure, GapSums
from service.law.fitting import Fit
from service.law.observations import FloatArray, Observations
from service.law.posterior import Posterior


class FamilySummary(NamedTuple):
    """A family's stored points, those known as collapsed left out."""

    n: int
    lowest_gap: float
    highest_gap: float


@dataclass(frozen=True, eq=False)
class LawState:
    """The fitted law.

    Attributes:
        exposure: distribution of true gaps. pi: probability of a collapse.
        posterior: every family's coefficients, node by node.
        slope, slope_square: (L,) E[b1] and E[b1^2] behind each leaf's known variances.
        families: the stored points of each family that has one.
        curvature: p-value of the test for bending, NaN where it cannot be made.
        log_evidence: log marginal likelihood of the stored improvements.
        ids_hash: SHA-256 of the observations' ids in their order; ``None`` if they had none. An update chains.
        gaps, weight_sum: sums over all rows, updates included, of what the exposure needs, and of r.
        stale: a full fit is due: updates moved what the last one fixed.
        updated: rows were added since the last full fit.
    """

    exposure: Exposure
    pi: float
    posterior: Posterior
    slope: FloatArray
    slope_square: FloatArray
    families: Mapping[str, FamilySummary]
    curvature: float
    log_evidence: float
    ids_hash: str | None
    gaps: GapSums
    weight_sum: float
    stale: bool = False
    updated: bool = False

    @classmethod
    def of(cls, fitted: Fit, observations: Observations) -> "LawState":
        """Keep what outlives the rows."""
        return cls(
            exposure=fitted.exposure,
            pi=fitted.pi,
            posterior=fitted.posterior,
            slope=fitted.slope,
            slope_square=fitted.slope_square,
            families=_summaries(fitted, observations),
            curvature=curvature_p_value(fitted),
            log_evidence=fitted.log_evidence,
            ids_hash=None if observations.ids is None else chained("", observations.ids),
            gaps=GapSums.of(observations),
            weight_sum=float(fitted.weight.sum()),
        )

    @cached_property
    def stored(self) -> FamilySummary:
        """All stored points as if they were one family; with none, a range that holds every gap."""
        every = self.families.values()
        return FamilySummary(
            sum(family.n for family in every),
            min((family.lowest_gap for family in every), default=-np.inf),
            max((family.highest_gap for family in every), default=np.inf),
        )


def _summaries(fitted: Fit, observations: Observations) -> dict[str, FamilySummary]:
    rows, families = fitted.rows, fitted.rows.leaves.family_place
    usable = ~observations.collapsed[rows.order]
    family = rows.leaves.family[rows.leaf][usable]
    gap = observations.gap[rows.order][usable]
    count = np.bincount(family, minlength=len(families))
    lowest, highest = np.full(len(count), np.inf), np.full(len(count), -np.inf)
    np.minimum.at(lowest, family, gap)
    np.maximum.at(highest, family, gap)
    columns = zip(families, count.tolist(), lowest.tolist(), highest.tolist(), strict=True)
    return {name: FamilySummary(n, low, high) for name, n, low, high in columns if n}


def chained(previous: str, ids: tuple[str, ...]) -> str:
    """Hash ids in their order, after those that ``previous`` stands for."""
    return hashlib.sha256((previous + json.dumps(ids)).encode()).hexdigest()
