"""Joint draws of improvements: what several questions share is drawn once for all of them (docs: LAW part 3).

A draw is one model, one node of its grid, one set of coefficients and one set of contexts' effects. The link is taken
as it is, where predictions linearise it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from service.law import effects
from service.law.contexts import Place
from service.law.effects import Effect
from service.law.exposure import Exposure
from service.law.hierarchy import place, posterior_down
from service.law.leaves import IndexArray, Leaf
from service.law.links import SMALLEST_HEADROOM
from service.law.observations import FloatArray, Probe
from service.law.pools import LawState
from service.law.posterior import Posterior, family_block
from service.law.predicting import conditions, parts, possible
from service.law.state import ModelState, PoolState

SMALLEST_SD = 1e-12


class Chosen(NamedTuple):
    """n draws of one model: each one's node (n,) and, where contexts are a level, its triple of scales (n,)."""

    node: IndexArray
    triple: IndexArray


def draws(state: LawState, probe: Probe, n: int, seed: int, gap_cov: FloatArray | None) -> FloatArray:
    """Draw n joint improvements of P probes: (n, P).

    Args:
        state: the fitted law.
        probe: P questions.
        n: how many draws.
        seed: of numpy's generator.
        gap_cov: (P, P) covariance of the gaps' sampling errors; independent unless given.
    """
    rng, P = np.random.default_rng(seed), len(probe)
    found, shared = np.empty((n, P)), parts(state, probe)
    exposures: list[Exposure] = [part.pool.exposure for part in shared for _ in part.rows]
    rows = np.concatenate([part.rows for part in shared]) if shared else np.empty(0, dtype=np.intp)
    gaps = _gaps(rng, [exposures[place] for place in np.argsort(rows)], probe, n, gap_cov)
    for part in shared:
        found[:, part.rows] = _of_pool(rng, part.pool, part.probe, gaps[:, part.rows])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(probe.gap_var > 0, probe.cov / probe.gap_var, 0.0)
    left = np.maximum(probe.improvement_var - share * probe.cov, 0.0)
    found += share * (probe.gap - gaps) + np.sqrt(left) * rng.standard_normal((n, P))
    return np.clip(found, *possible(probe))


def checked(gap_cov: ArrayLike | None, probe: Probe) -> FloatArray | None:
    """See that a covariance of gaps is one, of these probes.

    Raises:
        ValueError: its shape or its diagonal is not the probe's, or it is not positive definite.
    """
    if gap_cov is None:
        return None
    cov, P = np.asarray(gap_cov, dtype=np.float64), len(probe)
    if cov.shape != (P, P):
        raise ValueError(f"gap_cov: expected shape {(P, P)}, got {cov.shape}")
    if not np.allclose(np.diag(cov), probe.gap_var, rtol=1e-6, atol=0):
        raise ValueError("gap_cov: expected the probe's gap_var on the diagonal, got other variances")
    try:
        np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        raise ValueError("gap_cov: expected a positive definite matrix, got one that is not") from None
    return cov


def _gaps(
    rng: np.random.Generator, exposures: list[Exposure], probe: Probe, n: int, gap_cov: FloatArray | None
) -> FloatArray:
    """(n, P) true gaps given the measured ones, each near the stored ones or from the flat part of its exposure."""
    P = len(probe)
    mean, variance = (np.array([getattr(one, name) for one in exposures]) for name in ("mean", "variance"))
    pairs = zip(exposures, probe.gap, probe.gap_var, strict=True)
    flat_weight = np.array([float(one.flat_weight(np.array([x]), np.array([v]))[0]) for one, x, v in pairs])
    flat = rng.random((n, P)) < flat_weight
    noise = rng.standard_normal((n, P))
    if gap_cov is None:
        reliability = np.where(flat, 1.0, variance / (variance + probe.gap_var))
        return np.asarray(mean + reliability * (probe.gap - mean) + np.sqrt(reliability * probe.gap_var) * noise)
    gaps = np.empty((n, P))
    patterns, which = np.unique(flat, axis=0, return_inverse=True)
    inverse = np.linalg.inv(gap_cov)
    for number, pattern in enumerate(patterns):
        own = np.where(pattern, 0.0, 1 / variance)
        cov = np.linalg.inv(inverse + np.diag(own))
        centre = cov @ (inverse @ probe.gap + own * mean)
        mine = which.reshape(-1) == number
        gaps[mine] = centre + noise[mine] @ np.linalg.cholesky(cov).T
    return gaps


def _of_pool(rng: np.random.Generator, pool: PoolState, probe: Probe, gaps: FloatArray) -> FloatArray:
    """(n, P) improvements without their sampling errors, of the probes that one pool answers."""
    n, P = gaps.shape
    found = np.empty((n, P))
    weight = np.array([each.weight for each in pool.models])
    model = rng.choice(len(weight), size=n, p=weight / weight.sum())
    H, w, places = conditions(pool, probe)
    headroom_var = np.where(probe.cov == 0, probe.baseline_var, 0.0)
    for number, each in enumerate(pool.models):
        mine = np.flatnonzero(model == number)
        posterior, link = each.posterior, each.model.link
        node = rng.choice(len(posterior.weight), size=len(mine), p=posterior.weight)
        chosen = Chosen(node, posterior.grid.sigma_index[node])
        of_leaf = _coefficients(rng, posterior, chosen, list(dict.fromkeys(each_.leaf for each_ in places)))
        b = np.stack([of_leaf[each_.leaf] for each_ in places], axis=-1)  # (d, n, P)
        x, scatter = gaps[mine], posterior.grid.sigma[chosen.triple][:, None] ** 2 * each.model.spread(gaps[mine])
        eta = b[0] + b[1] * x + (b[2] * w if len(b) > 2 else 0.0)
        eta += np.sqrt((1 - link.noise_share) * scatter) * rng.standard_normal(x.shape)
        room = np.maximum(H + np.sqrt(headroom_var) * rng.standard_normal(x.shape), SMALLEST_HEADROOM)
        at = link.at(eta, room)
        carried = np.sqrt(link.noise_share + (1 - link.noise_share) * at.slope**2)
        residual = np.sqrt(link.noise_share * scatter) * rng.standard_normal(x.shape)
        found[mine] = at.value + residual + carried * _effects(rng, each, places, chosen, b)
    return found


def _coefficients(
    rng: np.random.Generator, posterior: Posterior, chosen: Chosen, leaves: list[Leaf]
) -> dict[Leaf, FloatArray]:
    """(d, n) coefficients of each leaf, down from one draw of the population's."""
    node, statistics = chosen.node, posterior.statistics
    grid, known = posterior.grid, posterior.statistics.leaves
    d, n = grid.dimensions, len(node)
    nothing = np.zeros((d * (d + 1) // 2, n)), np.zeros((d, n))
    population = _normal(rng, *(part[:, node] for part in posterior.above))

    def child(parent: FloatArray, own: tuple[FloatArray, FloatArray], t: FloatArray) -> FloatArray:
        return _normal(rng, *posterior_down(*own, t[:, node], parent, np.zeros_like(nothing[0])))

    families: dict[str, FloatArray] = {}
    found: dict[Leaf, FloatArray] = {}
    for family, cell in sorted(leaves, key=lambda leaf: (leaf[0], leaf[1] or "")):
        block = None
        if family in known.family_place:
            block = family_block(statistics, grid, known.family_place[family], known.family_place[family] + 1)
        if family not in families:
            own = nothing if block is None else (block.A[:, 0, node], block.R[:, 0, node])
            families[family] = child(population, own, grid.family_variance)
        if cell is None:
            found[family, cell] = families[family]
            continue
        own = nothing
        if block is not None and (family, cell) in known.place:
            at = known.place[family, cell] - block.leaves.start
            own = block.leaf_precision[:, at, node], block.leaf_shift[:, at, node]
        found[family, cell] = child(families[family], own, grid.cell_variance)
    return found


def _effects(
    rng: np.random.Generator, state: ModelState, places: list[Place], chosen: Chosen, b: FloatArray
) -> FloatArray:
    """(n, P) effects of the probes' contexts and configurations: the same of one context, whoever asks."""
    _, n, P = b.shape
    found, scales, stored = np.zeros((n, P)), state.posterior.grid.scales, state.effects
    if scales is None or stored is None:
        return found
    triple = chosen.triple
    of_contexts: dict[tuple[object, ...], FloatArray] = {}
    of_configurations: dict[tuple[object, ...], FloatArray] = {}
    for index, at in enumerate(places):
        # what is unknown is shared by nobody
        context = (at.leaf, at.context, index if at.context is None else None)
        configuration = (*context, at.model, index if at.model is None else None)
        if context not in of_contexts:
            effect = stored.of_context(at, scales)
            if effect is None:
                effect = Effect(np.zeros(len(scales)), np.zeros((len(b), len(scales))), scales.context_variance)
            of_contexts[context] = _effect(rng, effect, triple, b[:, :, index])
        if configuration not in of_configurations:
            own = stored.of_configuration(at, scales)
            if own is None:
                effect, rest = (
                    Effect(np.zeros(len(scales)), np.zeros((len(b), len(scales))), scales.configuration_variance),
                    1.0,
                )
            else:
                effect = effects.alone(own, scales.configuration_variance)
                rest = (1 - effect.variance * own.A[-1])[triple]
            of_configurations[configuration] = rest * of_contexts[context] + _effect(
                rng, effect, triple, b[:, :, index]
            )
        found[:, index] = of_configurations[configuration]
    return found


def _effect(rng: np.random.Generator, effect: Effect, triple: IndexArray, b: FloatArray) -> FloatArray:
    """(n,) draws given coefficients (d, n), each at its triple of scales."""
    centre = effect.alpha[triple] - (effect.gamma[:, triple] * b).sum(axis=0)
    return np.asarray(centre + np.sqrt(effect.variance[triple]) * rng.standard_normal(len(triple)))


def _normal(rng: np.random.Generator, mean: FloatArray, cov: FloatArray) -> FloatArray:
    """(d, n) draws of n normals with stacked covariances, any of which may be singular."""
    d, n = mean.shape
    found, noise = mean.copy(), rng.standard_normal((d, n))
    factor: list[list[FloatArray]] = []
    for i in range(d):
        row: list[FloatArray] = []
        for j in range(i):
            rest = cov[place(i, j)] - sum((row[k] * factor[j][k] for k in range(j)), np.zeros(n))
            row.append(np.divide(rest, factor[j][j], out=np.zeros(n), where=factor[j][j] > SMALLEST_SD))
        row.append(np.sqrt(np.maximum(cov[place(i, i)] - sum((part**2 for part in row), np.zeros(n)), 0.0)))
        factor.append(row)
        found[i] += sum(part * noise[k] for k, part in enumerate(row))
    return found
