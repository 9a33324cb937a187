"""The normals that one model's prediction is mixed from (docs: LAW step 5, part 2 "Prediction")."""

from collections.abc import Callable, Hashable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from service.law.contexts import Place
from service.law.effects import Effect, quadratic
from service.law.exposure import Exposure
from service.law.hierarchy import line, place
from service.law.leaves import Leaf
from service.law.links import LINEAR, Link
from service.law.mixture import Normals
from service.law.models import spread
from service.law.observations import FloatArray, Probe
from service.law.state import ModelState, PoolState

POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
SHARES = _WEIGHTS / _WEIGHTS.sum()
AT_ONCE = 8
"""gaps of which each may have tens of thousands of normals: more at once leave the cache"""
NODES = 2_560
"""nodes times probes whose normals are computed at a time, five points each: a dozen arrays of this size stay in a
core's cache"""
REMEMBERED = 16
"""coefficients that a pool keeps, four a question: one model's gaps on a task are asked for one after the other"""


class Coefficients(NamedTuple):
    """Coefficients of each of P probes at the J nodes that matter.

    Attributes:
        weight: (J,) of the nodes, in all the model's weight.
        mean: (d, P, J). cov: (d (d + 1)/2, P, J). sigma_square: (J,), or (P, J) with tau^2 where a context is new.
        effect: of the probes' contexts, 0 where one is new; ``None`` where all are.
        extra: kappa of all nodes' models, or (J,) of each one's.
        sizes: nodes of each model, where they are of several.
    """

    weight: FloatArray
    mean: FloatArray
    cov: FloatArray
    sigma_square: FloatArray
    effect: Effect | None = None
    extra: FloatArray | float = 0.0
    sizes: tuple[int, ...] = ()

    @classmethod
    def beside(cls, parts: Sequence["Coefficients"]) -> "Coefficients":
        """Put the nodes of several models of one pool beside each other."""
        if len(parts) == 1:
            return parts[0]
        weight, mean, cov, sigma_square = (
            np.concatenate(column, axis=-1) for column in zip(*(part[:4] for part in parts), strict=True)
        )
        known = [part.effect for part in parts if part.effect is not None]
        effect = Effect(*(np.concatenate(column, axis=-1) for column in zip(*known, strict=True))) if known else None
        extra = np.concatenate([np.broadcast_to(part.extra, part.weight.shape) for part in parts])
        sizes = tuple(len(part.weight) for part in parts)
        return cls(weight, mean, cov, sigma_square, effect, extra if extra.any() else 0.0, sizes)


class Asked(NamedTuple):
    """What is known of P improvements beside the coefficients, each (P, 1).

    Attributes:
        x, x_var: mean and variance of the true gap.
        own: variance of the improvement's sampling error. shared: covariance of that with the true gap, sign changed.
        shift: mean of that error, given the gap's.
        headroom, headroom_var: H and its variance where the improvement has a baseline of its own.
        dilution: w.
    """

    x: FloatArray
    x_var: FloatArray
    own: FloatArray
    shared: FloatArray
    shift: FloatArray
    headroom: FloatArray
    headroom_var: FloatArray
    dilution: FloatArray


def by_link(pool: PoolState, models: Sequence[ModelState], places: Sequence[Place]) -> list[tuple[Link, Coefficients]]:
    """Coefficients of P places at the nodes of all of some models of a pool that have the same link, link by link."""
    key = (models[0].kind, places[0]) if len(places) == 1 else None
    return _by_link(pool, key, models, lambda state: at_places(state, places))


def leaves_by_link(pool: PoolState, leaves: Sequence[Leaf]) -> list[tuple[Link, Coefficients]]:
    """Coefficients of P leaves at the nodes of all models of a pool, likewise."""
    return _by_link(pool, leaves[0] if len(leaves) == 1 else None, pool.models, lambda state: at_leaves(state, leaves))


def _by_link(
    pool: PoolState, key: Hashable, models: Sequence[ModelState], at: Callable[[ModelState], Coefficients]
) -> list[tuple[Link, Coefficients]]:
    found = pool.at_nodes.get(key)
    if found is None:
        each = groupby(models, key=lambda state: state.model.link)
        found = [(link, Coefficients.beside([at(state) for state in same])) for link, same in each]
        if key is not None:
            if len(pool.at_nodes) >= REMEMBERED:
                pool.at_nodes.clear()
            pool.at_nodes[key] = found
    return found


def at_places(state: ModelState, places: Sequence[Place]) -> Coefficients:
    """Coefficients of P places, with what is known of their contexts."""
    at = at_leaves(state, [each.leaf for each in places])
    grid = state.posterior.grid
    if state.effects is None or grid.scales is None:
        return at
    d, K = grid.dimensions, len(grid.scales)
    different = {each: number for number, each in enumerate(dict.fromkeys(places))}
    which = np.array([different[each] for each in places], dtype=np.intp)
    triple = grid.sigma_index[state.heavy]
    nothing = Effect(np.zeros(K), np.zeros((d, K)), np.zeros(K))
    found = [state.effects.of(each, grid.scales) for each in different]
    new = np.array([effect is None for effect in found], dtype=np.bool_)
    sigma_square = at.sigma_square + np.where(new[which, None], grid.scales.tau[triple] ** 2, 0.0)
    if new.all():
        return at._replace(sigma_square=sigma_square)
    columns = zip(*(effect or nothing for effect in found), strict=True)
    alpha, gamma, variance = (np.stack(each, axis=-2)[..., which, :][..., triple] for each in columns)
    return at._replace(sigma_square=sigma_square, effect=Effect(alpha, gamma, variance))


def at_leaves(state: ModelState, leaves: Sequence[Leaf]) -> Coefficients:
    """Coefficients of P leaves, any of which may be unknown."""
    posterior = state.posterior
    places = {leaf: place for place, leaf in enumerate(dict.fromkeys(leaves))}
    which = [places[leaf] for leaf in leaves]
    heavy = state.heavy
    each = [state.coefficients(leaf) for leaf in places]
    d = posterior.grid.dimensions
    mean, cov = (
        np.array([pair[part] for pair in each]).reshape(-1, size, len(heavy))[which].swapaxes(0, 1)
        for part, size in enumerate((d, d * (d + 1) // 2))
    )
    sigma_square = posterior.grid.sigma[posterior.grid.sigma_index[heavy]] ** 2
    return Coefficients(state.weight * posterior.weight[heavy], mean, cov, sigma_square, extra=state.model.extra)


def exposed(
    exposure: Exposure, probe: Probe, headroom: FloatArray, dilution: FloatArray | None = None
) -> list[tuple[FloatArray, Asked]]:
    """Both parts of a new probe's exposure with their weights (P,): near the stored gaps, and flat."""
    w = np.zeros(len(probe)) if dilution is None else dilution
    x, x_var, c = probe.gap, probe.gap_var, probe.cov
    reliability, total = exposure.reliability(x_var), exposure.variance + x_var
    headroom_var = np.where(c == 0, probe.baseline_var, 0.0)
    near = (
        exposure.shrink(x, x_var),
        reliability * x_var,
        probe.improvement_var - c**2 / total,
        reliability * c,
        c * (x - exposure.mean) / total,
    )
    flat = (x, x_var, probe.improvement_var, c, np.zeros_like(c))
    flat_weight = exposure.flat_weight(x, x_var)
    return [
        (weight, Asked(*(column[:, None] for column in (*part, headroom, headroom_var, w))))
        for weight, part in ((1 - flat_weight, near), (flat_weight, flat))
    ]


def normals(link: Link, at: Coefficients, asked: Asked) -> Normals:
    """Means and sds of improvements: one normal a node for a line, five for a bent link.

    Half of eta's variance is spread over five points and the other half carried through the link's slope there. The
    sampling error that improvement and gap share goes with the gap's error, half and half.
    """
    straight = link is LINEAR
    zeta = _zeta(at, asked)
    if straight and at.effect is not None:
        zeta = [part - gamma for part, gamma in zip(zeta, at.effect.gamma, strict=True)]
        centre, variance = _line(at, zeta)
        centre, variance = centre + at.effect.alpha, variance + at.effect.variance
    else:
        centre, variance = line(at.mean, at.cov, asked.x) if len(zeta) == 2 else _line(at, zeta)
    variance = variance + (at.mean[1] ** 2 + at.cov[2]) * asked.x_var
    scatter = spread(asked.x, at.extra) * at.sigma_square
    shared = -at.mean[1] * asked.shared
    if straight:
        sd = np.sqrt(variance + scatter + asked.own + 2 * shared)
        return np.broadcast_to(at.weight, centre.shape), centre + asked.shift, sd
    variance = variance + (1 - link.noise_share) * scatter
    rest = link.noise_share * scatter + asked.own - 0.5 * shared**2 / variance
    bent = _Bent(centre, variance, rest, shared)
    if at.effect is not None:
        bent = bent._replace(effect=np.array(_effect(at, at.effect, zeta)))
    P, J = centre.shape
    mean, sd = np.empty((2, P, J, len(POINTS)))
    step = max(NODES // P, 1)
    for nodes in (slice(first, first + step) for first in range(0, J, step)):
        found = _at_points(link, bent.only(nodes), asked)
        mean[:, nodes], sd[:, nodes] = (part.swapaxes(1, 2) for part in found)
    weight = np.broadcast_to(at.weight[:, None] * SHARES, mean.shape)
    return weight.reshape(P, -1), mean.reshape(P, -1), sd.reshape(P, -1)


class _Bent(NamedTuple):
    """Eta of P probes at J nodes, and what is added to it.

    Attributes:
        centre, variance: (P, J) of eta. rest: (P, J) variance that is not carried through the link.
        shared: (P, J) covariance of the gap's error with the improvement's.
        effect: (3, P, J) of contexts: mean, covariance with eta, variance; ``None`` where all are new.
    """

    centre: FloatArray
    variance: FloatArray
    rest: FloatArray
    shared: FloatArray
    effect: FloatArray | None = None

    def only(self, nodes: slice) -> "_Bent":
        """Keep these nodes."""
        effect = None if self.effect is None else self.effect[..., nodes]
        centre, variance, rest, shared = (part[:, nodes] for part in self[:4])
        return _Bent(centre, variance, rest, shared, effect)


def _at_points(link: Link, bent: _Bent, asked: Asked) -> tuple[FloatArray, FloatArray]:
    """Means and sds (P, points, J) of the normals of a bent link: with the nodes last, each step is one long loop."""
    variance, rest, shared = (part[:, None] for part in (bent.variance, bent.rest, bent.shared))
    half = 0.5 * variance
    off = np.sqrt(half) * POINTS[:, None]
    mean, slope, by_headroom = link.slopes_at(bent.centre[:, None] + off, asked.headroom[..., None])
    spread_of = slope**2
    share = None if bent.effect is None else np.sqrt(link.noise_share + (1 - link.noise_share) * spread_of)
    spread_of *= half
    if asked.shared.any():  # where a gap was measured apart, nothing is shared
        mean += shared / variance * off
        mean += asked.shift[..., None]
        spread_of += slope * shared
    by_headroom *= by_headroom
    by_headroom *= asked.headroom_var[..., None]
    by_headroom += rest
    spread_of += by_headroom
    if bent.effect is not None and share is not None:
        # what is known of the effect leans on the coefficients, and so goes with eta
        own, covariance, total = bent.effect[:, :, None]
        mean += share * (own + covariance / variance * off)
        spread_of += share**2 * (total - 0.5 * covariance**2 / variance)
        spread_of += slope * share * covariance
    return mean, np.sqrt(spread_of, out=spread_of)


def _zeta(at: Coefficients, asked: Asked) -> list[FloatArray]:
    return [np.ones_like(asked.x), asked.x, asked.dilution][: len(at.mean)]


def _line(at: Coefficients, zeta: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of zeta'b."""
    full = np.broadcast_arrays(*zeta)
    return np.asarray(sum(m * part for m, part in zip(at.mean, full, strict=True))), quadratic(at.cov, np.array(full))


def _effect(at: Coefficients, effect: Effect, zeta: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean of a context's effect, its covariance with zeta'b, and its variance (docs: LAW part 3, E, C and U)."""
    d = len(at.mean)
    cov_gamma = [sum(at.cov[place(i, j)] * effect.gamma[j] for j in range(d)) for i in range(d)]
    mean = effect.alpha - sum(effect.gamma[i] * at.mean[i] for i in range(d))
    covariance = -sum((zeta[i] * cov_gamma[i] for i in range(d)), np.zeros(1))
    return mean, covariance, effect.variance + sum(effect.gamma[i] * cov_gamma[i] for i in range(d))


def curve_normals(link: Link, at: Coefficients, x: FloatArray, headroom: FloatArray, dilution: float) -> Normals:
    """Where the curve itself runs at true gaps x (P,): no residual, no sampling error, no context's effect."""
    nothing = np.zeros((len(x), 1))
    asked = Asked(x[:, None], nothing, nothing, nothing, nothing, headroom[:, None], nothing, nothing + dilution)
    return normals(link, at._replace(sigma_square=np.zeros_like(at.sigma_square)), asked)
