"""What a fitted pool keeps once its rows are gone: enough to predict, to be written down and to take one more row."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from service.law import effects
from service.law.contexts import Contexts, Place
from service.law.effects import ConfigurationSums, Effect
from service.law.exposure import Exposure, GapSums
from service.law.fitting import Fit
from service.law.leaves import IndexArray, Leaf
from service.law.links import LINEAR
from service.law.models import PUBLISHED, Model
from service.law.observations import FloatArray, Observations
from service.law.posterior import Posterior
from service.law.prediction import Estimate, Kind
from service.law.scales import Scales

NEGLIGIBLE = 1e-10
"""weight of nodes that are left out, all together"""
NEGLIGIBLE_OF_MANY = 1e-5
"""the same where contexts are a level: of tens of thousands of nodes most are left out, and no tail moves by more"""
MOST_LEFT_OUT = 0.01
"""of one model's weight"""
REMEMBERED = 64
"""leaves: questions come for the same few ones again and again"""


class FamilySummary(NamedTuple):
    """A family's stored points, those known as collapsed left out; ``baseline`` is the median, NaN where unknown."""

    n: int
    lowest_gap: float
    highest_gap: float
    baseline: float = float("nan")


@dataclass(frozen=True, eq=False)
class StoredEffects:
    """What stored runs say of their contexts' effects.

    Attributes:
        contexts: those with stored runs. sums: of each configuration, at every sigma of the model's triples.
    """

    contexts: Contexts
    sums: ConfigurationSums

    def of(self, place: Place, scales: Scales) -> Effect | None:
        """What is known of a probe's context: its effect at K triples, ``None`` where nothing is."""
        above = self.of_context(place, scales)
        if above is None:
            return None
        own = self.of_configuration(place, scales)
        if own is None:
            return above._replace(variance=above.variance + scales.configuration_variance)
        return effects.below(own, above, scales)

    def of_context(self, place: Place, scales: Scales) -> Effect | None:
        """What is known of u of a probe's context, ``None`` where nothing is."""
        if place.context is None or (place.leaf, place.context) not in self.contexts.known:
            return None
        context = self.contexts.known[place.leaf, place.context]
        configurations = slice(int(self.contexts.start[context]), int(self.contexts.start[context + 1]))
        sums = self.sums.take(configurations)
        effect = effects.of_contexts(sums, self.contexts, slice(context, context + 1), scales)
        return Effect(effect.alpha[0], effect.gamma[:, 0], effect.variance[0])

    def of_configuration(self, place: Place, scales: Scales) -> ConfigurationSums | None:
        """What a probe's configuration itself says, at K triples; ``None`` where it has no stored run."""
        own = self.contexts.configurations.get(place)
        if own is None:
            return None
        at = self.sums.take(slice(own, own + 1)).at(scales)
        return ConfigurationSums(at.A[:, 0], at.R[:, 0])


@dataclass(frozen=True, eq=False)
class ModelState:
    """One fitted model.

    Attributes:
        model: the link and its extra variance near gap 0. weight: its probability among the pool's models.
        pi: probability of a collapse.
        posterior: every family's coefficients, node by node.
        slope, slope_square: (L,) E[b1] and E[b1^2] behind each leaf's known variances.
        log_evidence: log marginal likelihood of the stored improvements.
        weight_sum: sum of r over the pool's own rows, updates included.
        effects: of contexts, where they are a level.
    """

    model: Model
    weight: float
    pi: float
    posterior: Posterior
    slope: FloatArray
    slope_square: FloatArray
    log_evidence: float
    weight_sum: float
    effects: StoredEffects | None = None

    @property
    def kind(self) -> Kind:
        """The side of an undecided link."""
        return Kind.LINEAR if self.model.link is LINEAR else Kind.SATURATING

    @cached_property
    def heavy(self) -> IndexArray:
        """The nodes that matter to a prediction."""
        weight, negligible = self.posterior.weight, NEGLIGIBLE
        if self.effects is not None:
            negligible = min(NEGLIGIBLE_OF_MANY / self.weight, MOST_LEFT_OUT)
        ascending = np.argsort(weight)
        return np.sort(ascending[np.cumsum(weight[ascending]) > negligible])

    def coefficients(self, leaf: Leaf) -> tuple[FloatArray, FloatArray]:
        """Mean (d, J) and covariance of a leaf's coefficients at the nodes that matter."""
        found = self._remembered.get(leaf)
        if found is None:
            mean, cov = self.posterior.coefficients(*leaf)
            found = mean[:, self.heavy], cov[:, self.heavy]
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[leaf] = found
        return found

    @cached_property
    def _remembered(self) -> dict[Leaf, tuple[FloatArray, FloatArray]]:
        return {}

    @classmethod
    def of(cls, fitted: Fit, weight: float) -> "ModelState":
        """Keep what outlives the rows."""
        return cls(
            model=fitted.model,
            weight=weight,
            pi=fitted.pi,
            posterior=fitted.posterior,
            slope=fitted.beliefs.slope,
            slope_square=fitted.beliefs.slope_square,
            log_evidence=fitted.log_evidence,
            weight_sum=float(fitted.weight[fitted.rows.is_own].sum()),
            effects=_effects(fitted),
        )


def _effects(fitted: Fit) -> StoredEffects | None:
    contexts, sums = fitted.rows.contexts, fitted.sums
    return None if contexts is None or sums is None else StoredEffects(contexts, sums)


@dataclass(frozen=True, eq=False)
class PoolState:
    """The law of one pool of runs that lend each other strength.

    Attributes:
        exposure: distribution of true gaps.
        families: the stored points of each family that has one.
        baseline: median of all stored ones, NaN where one is unknown or nothing is stored.
        curvature: p-value of the test for bending, NaN where it cannot be made.
        gaps: sums over the pool's own rows, updates included, of what the exposure needs.
        models: those with weight.
        straightened: bent links were asked for, and a point without its baseline left the line alone.
        stale: a full fit is due: updates moved what the last one fixed.
        updated: rows were added since the last full fit.
        contexts_known: a row has a context, whether or not that makes contexts a level.
        wants_spread: the dilution was asked to count.
        dilutions: lowest, median and highest w of the rows, ``None`` where one is unknown or the level is off.
        lent: rows of each family that another pool lends: they are in the hierarchy and nowhere else.
    """

    exposure: Exposure
    families: Mapping[str, FamilySummary]
    baseline: float
    curvature: float
    gaps: GapSums
    models: tuple[ModelState, ...]
    straightened: bool = False
    stale: bool = False
    updated: bool = False
    contexts_known: bool = False
    dilutions: tuple[float, float, float] | None = None
    wants_spread: bool = False
    lent: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def stored(self) -> FamilySummary:
        """All stored points as if they were one family; with none, a range that holds every gap."""
        every = self.families.values()
        return FamilySummary(
            sum(family.n for family in every),
            min((family.lowest_gap for family in every), default=-np.inf),
            max((family.highest_gap for family in every), default=np.inf),
            self.baseline,
        )

    @cached_property
    def remembered(self) -> dict[Leaf, tuple[Estimate, Estimate]]:
        """Intercepts and slopes of leaves that were asked for: those of a pool never change."""
        return {}

    @cached_property
    def improvements(self) -> dict[tuple[Leaf, float | None], Estimate]:
        """Improvements at the common gap of leaves and baselines that were asked for."""
        return {}

    @cached_property
    def at_nodes(self) -> dict[Hashable, Any]:
        """Coefficients of places and leaves that were asked for, at the nodes of several models."""
        return {}

    @property
    def published(self) -> ModelState | None:
        """The line of part 1 where it is the only model: such a pool can take one more row exactly."""
        return self.models[0] if [each.model for each in self.models] == [PUBLISHED] else None

    @property
    def contexts(self) -> Contexts | None:
        """Those of the stored runs, where they are a level."""
        return None if self.models[0].effects is None else self.models[0].effects.contexts

    @property
    def dilutes(self) -> bool:
        """True if the dilution counts."""
        return self.models[0].posterior.grid.carry is not None

    @property
    def context_sd(self) -> float:
        """Posterior mean of tau."""
        each = ((one.weight, one.posterior.scale_weight, one.posterior.grid.scales) for one in self.models)
        return sum(weight * float(share @ scales.tau) for weight, share, scales in each if scales is not None)

    @property
    def linear_weight(self) -> float:
        """Probability of the straight link."""
        return sum((each.weight for each in self.models if each.kind is Kind.LINEAR), 0.0)

    @property
    def p_collapse(self) -> float:
        """Probability that a run collapses."""
        return sum(each.weight * each.pi for each in self.models)

    def known(self, family: str) -> FamilySummary:
        """What is stored of a family, or of all families where it has nothing."""
        return self.families.get(family, self.stored)

    def typical_baseline(self, family: str) -> float:
        """Median of the family's, else of all; 0 where none is known, so that nothing saturates too soon."""
        found = self.known(family).baseline
        return 0.0 if np.isnan(found) else found

    @property
    def typical_dilution(self) -> float:
        """Median w of the rows where it counts, else 0."""
        return self.dilutions[1] if self.dilutes and self.dilutions is not None else 0.0

    def others(self, leaf: Leaf) -> int:
        """Number of the pool's own leaves beside this one."""
        return len(self.leaves) - (leaf in self.leaves)

    @cached_property
    def leaves(self) -> frozenset[Leaf]:
        """The pool's own leaves, those that are lent left out."""
        every = self.models[0].posterior.statistics.leaves.keys
        return frozenset(leaf for leaf in every if leaf[0] not in self.lent)


def summaries(observations: Observations) -> dict[str, FamilySummary]:
    """Each family's stored points."""
    usable = np.flatnonzero(~observations.collapsed)
    names = [observations.family[row] for row in usable] if len(usable) < len(observations) else observations.family
    places = {name: place for place, name in enumerate(sorted(set(names)))}
    family = np.fromiter((places[name] for name in names), dtype=np.intp, count=len(names))
    gap, baseline = observations.gap[usable], observations.baseline[usable]
    order = np.argsort(family, kind="stable")
    bounds = np.searchsorted(family[order], np.arange(len(places) + 1))
    found = {}
    for name, place in places.items():
        ours = order[bounds[place] : bounds[place + 1]]
        median = float(np.median(baseline[ours]))  # NaN where one is unknown
        found[name] = FamilySummary(len(ours), float(gap[ours].min()), float(gap[ours].max()), median)
    return found
