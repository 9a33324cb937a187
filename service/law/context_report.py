"""How much contexts differ, by how much each does, and whether a gap's spread matters (docs: LAW part 3)."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import ndtr

from service.law import effects
from service.law.contexts import Contexts
from service.law.curves import CONFIDENCE
from service.law.effects import Effect
from service.law.keys import Key
from service.law.leaves import Leaf
from service.law.mixture import NormalMixture
from service.law.observations import FloatArray
from service.law.pools import LawState
from service.law.prediction import CarryOver, ContextEffect, Estimate
from service.law.state import ModelState, PoolState

SMALLEST_SD = 1e-4
"""of an effect: where there are none, it is a point"""
TAUS = np.geomspace(1e-3, 2, 4000)
"""where the distribution of tau is looked at; neighbours differ by a fifth of a percent"""
FARTHEST = 1e3
"""ratio of two coefficients"""
TAILS = (0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2)


def spread(pool: PoolState) -> Estimate:
    """Mean of tau and its bounds; zeros where contexts are not a level."""
    if pool.contexts is None:
        return Estimate(0.0, 0.0, 0.0)
    cdf = sum((one.weight * _tau_cdf(one) for one in pool.models), np.zeros(len(TAUS)))
    lower, upper = (float(TAUS[np.argmax(cdf >= tail)]) if cdf[0] < tail else 0.0 for tail in TAILS)
    return Estimate(pool.context_sd, lower, upper)


def _tau_cdf(state: ModelState) -> FloatArray:
    """(4000,) P(tau <= TAUS): a node's probability is even in log tau over its cell."""
    posterior = state.posterior
    scales = posterior.grid.scales
    if scales is None:
        return np.ones(len(TAUS))
    taus, weight = scales.tau_weight(posterior.scale_weight)
    none = max(1 - float(weight.sum()), 0.0)
    if not len(taus):
        return np.ones(len(TAUS))
    middle = np.sqrt(taus[1:] * taus[:-1])
    step = taus[-1] / middle[-1] if len(middle) else 1.1
    edges = np.concatenate([[taus[0] / (middle[0] / taus[0] if len(middle) else 1.1)], middle, [taus[-1] * step]])
    return np.asarray(
        none + np.interp(np.log(TAUS), np.log(edges), np.concatenate([[0.0], np.cumsum(weight)])), dtype=np.float64
    )


def carry_over(pool: PoolState, leaf: Leaf) -> CarryOver:
    """P(s > 0), and b2/b1 of a leaf; nothing where the dilution does not count."""
    if not pool.dilutes:
        return CarryOver(0.0, Estimate(0.0, 0.0, 0.0))
    from scipy.optimize import brentq  # takes longer to import than the law, and few pools need it

    p_any, weights, means, covs = 0.0, [], [], []
    for one in pool.models:
        posterior = one.posterior
        carry = posterior.grid.carry
        if carry is not None:
            share = posterior.weight.reshape(posterior.grid.shape).sum(axis=(0, 1, 2))
            p_any += one.weight * float(share[carry.scale > 0].sum())
        mean, cov = posterior.coefficients(*leaf)
        weights.append(one.weight * posterior.weight)
        means.append(mean)
        covs.append(cov)
    weight, mean, cov = np.concatenate(weights), np.concatenate(means, axis=1), np.concatenate(covs, axis=1)

    def below(ratio: float, p: float) -> float:
        # b2 <= ratio b1 where b1 > 0, as it is for all but a negligible share of what a law can be
        off = mean[2] - ratio * mean[1]
        sd = np.sqrt(np.maximum(cov[5] - 2 * ratio * cov[4] + ratio**2 * cov[2], SMALLEST_SD**2))
        return float(weight @ ndtr(-off / sd)) / float(weight.sum()) - p

    middle, lower, upper = (
        float(brentq(below, -FARTHEST, FARTHEST, args=(p,)))
        if below(-FARTHEST, p) < 0 < below(FARTHEST, p)
        else float("nan")
        for p in (0.5, *TAILS)
    )
    return CarryOver(p_any, Estimate(middle, lower, upper))


def context_effects(state: LawState) -> Iterator[ContextEffect]:
    """List the effects of all named contexts, and of their configurations, by the pools that answer for them."""
    done = set()
    for leaf, counts in state.counts.items():
        for key in counts:
            pool = state.answering(key, leaf)
            name = next(name for name, each in state.pools.items() if each is pool)
            if (name, leaf) not in done and pool.contexts is not None:
                done.add((name, leaf))
                yield from _of_leaf(name, pool, pool.contexts, leaf)


def _of_leaf(key: Key, pool: PoolState, contexts: Contexts, leaf: Leaf) -> Iterator[ContextEffect]:
    mine = sorted(place for (of_leaf, _), place in contexts.known.items() if of_leaf == leaf)
    if not mine:
        return
    some = slice(mine[0], mine[-1] + 1)
    parts = [_mixtures(one, contexts, leaf, some) for one in pool.models if one.effects is not None]
    above, below = (
        NormalMixture.beside([(each.weight, each.mean, each.sd) for each in side]) for side in zip(*parts, strict=True)
    )
    of_contexts, of_configurations = (list(_estimates(side)) for side in (above, below))
    family, cell = leaf
    for context in mine:
        first, last = (int(place) for place in contexts.start[context : context + 2])
        name, n = contexts.places[first].context, int(contexts.n[first:last].sum())
        yield ContextEffect(key, family, cell, str(name), None, n, of_contexts[context - mine[0]])
        for place in range(first, last):
            if contexts.n[place] and contexts.places[place].model is not None:
                of_place = of_configurations[place - int(contexts.start[some.start])]
                model = contexts.places[place].model
                yield ContextEffect(key, family, cell, str(name), model, int(contexts.n[place]), of_place)


def _mixtures(state: ModelState, contexts: Contexts, leaf: Leaf, some: slice) -> tuple[NormalMixture, NormalMixture]:
    """Effects of some contexts of a leaf, and of all their configurations: a normal for each triple of scales."""
    posterior, stored = state.posterior, state.effects
    scales = posterior.grid.scales
    if scales is None or stored is None:
        raise ValueError("contexts: expected a model that has them as a level, got one that has not")
    place = posterior.statistics.leaves.place[leaf]
    mean, cov = (part[:, [place]] for part in posterior.scale_moments())  # of scales without weight they are 0
    sums = stored.sums.take(slice(int(contexts.start[some.start]), int(contexts.start[some.stop])))
    each = (of(sums, contexts, some, scales) for of in (effects.of_contexts, effects.of_configurations))
    weight = state.weight * posterior.scale_weight
    of_contexts, of_configurations = (_normals(weight, mean, cov, effect) for effect in each)
    return of_contexts, of_configurations


def _normals(weight: FloatArray, mean: FloatArray, cov: FloatArray, effect: Effect) -> NormalMixture:
    centre, spread_of = effects.joined(mean, cov, effect)
    sd = np.sqrt(np.maximum(spread_of[-1], SMALLEST_SD**2))
    return NormalMixture(np.broadcast_to(weight, sd.shape), centre[-1], sd)


def _estimates(mixture: NormalMixture) -> Sequence[Estimate]:
    bounds = zip(mixture.centre.tolist(), *(bound.tolist() for bound in mixture.interval(CONFIDENCE)), strict=True)
    return [Estimate(*each) for each in bounds]
