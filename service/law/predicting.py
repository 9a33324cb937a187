"""From a probe to its mixture of normals (docs: LAW step 5, part 2 "Prediction")."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from service.law import cautions
from service.law.components import AT_ONCE, Coefficients, by_link, exposed, normals
from service.law.contexts import Place, dilution
from service.law.keys import Key
from service.law.leaves import IndexArray
from service.law.links import headroom
from service.law.mixture import NormalMixture
from service.law.observations import BoolArray, FloatArray, Probe
from service.law.pools import LawState
from service.law.prediction import Branch, Kind, Prediction
from service.law.state import ModelState, PoolState


class Part(NamedTuple):
    """The probes that one pool answers, and their places among all."""

    pool: PoolState
    probe: Probe
    rows: IndexArray


def mixture(state: LawState, probe: Probe) -> NormalMixture:
    """Mix the predictive distribution of each of P probes over links, kappas, nodes and both parts of its exposure."""
    shared = parts(state, probe)
    return _joined([_whole(_sides(part)) for part in shared], shared)


def predict(state: LawState, probe: Probe, levels: tuple[float, ...]) -> Prediction:
    """Predicted improvements with their cautions."""
    shared = parts(state, probe)
    sides = [_sides(part) for part in shared]
    predictive = _joined([_whole(of_part) for of_part in sides], shared)
    mean, P = predictive.centre, len(probe)
    refused, p_collapse, known = np.zeros(P, dtype=np.bool_), np.empty(P), np.full(P, None, dtype=object)
    warnings, branches = [], []
    for part, of_part in zip(shared, sides, strict=True):
        pool, rows = part.pool, part.rows
        refused[rows] = cautions.refused(pool, part.probe, mean[rows])
        known[rows] = cautions.known(pool, part.probe)
        p_collapse[rows] = pool.p_collapse
        open_ones = np.flatnonzero(cautions.undecided(pool, part.probe))
        mine = list(_branches(part, of_part, open_ones, levels)) if len(open_ones) else []
        said = cautions.cautions(pool, part.probe, refused[rows], mine, open_ones)
        warnings += [replace(caution, probe=int(rows[caution.probe])) for caution in said]
        branches += mine
    out = _prediction(predictive, probe, refused, p_collapse, levels)
    ordered = sorted(warnings, key=lambda caution: caution.probe)
    return replace(out, warnings=tuple(ordered), branches=tuple(branches), context_known=known.reshape(probe.shape)[()])


def possible(probe: Probe) -> tuple[FloatArray, FloatArray]:
    """(P,) lowest and highest improvements that can come out, infinite where nothing bounds them."""
    # a measured improvement with a baseline of its own can leave the range by its own noise
    clipped = ~np.isnan(probe.baseline) & ((probe.improvement_var == 0) | (probe.cov != 0))
    return np.where(clipped, -probe.baseline, -np.inf), np.where(clipped, 1 - probe.baseline, np.inf)


def parts(state: LawState, probe: Probe) -> list[Part]:
    """Share probes out among the pools."""
    said = list(zip(probe.teacher, probe.divergence, probe.family, probe.cell, strict=True))
    pools: list[PoolState] = []  # compared by identity
    which = {}
    for teacher, divergence, family, cell in dict.fromkeys(said):
        pool = state.answering(Key.of(teacher, divergence), (family, cell))
        if pool not in pools:
            pools.append(pool)
        which[teacher, divergence, family, cell] = pools.index(pool)
    if len(pools) <= 1:
        pool = pools[0] if pools else state.answering(Key.of(None, None), ("", None))  # of no probes at all
        return [Part(pool, probe, np.arange(len(probe)))]
    of_row = np.array([which[one] for one in said])
    rows = [np.flatnonzero(of_row == place) for place in range(len(pools))]
    return [Part(pool, probe.take(ours), ours) for pool, ours in zip(pools, rows, strict=True)]


def _sides(part: Part) -> dict[Kind, NormalMixture]:
    """The straight and the bent part of a pool's mixtures; their weights are 1 together."""
    models: dict[Kind, list[ModelState]] = {}
    for each in part.pool.models:
        models.setdefault(each.kind, []).append(each)
    alone = len(part.pool.models) == 1 or not len(part.probe)
    chunks = [part.probe]
    if not alone and len(part.probe) > AT_ONCE:
        whole = np.arange(len(part.probe))
        chunks = [part.probe.take(whole[first : first + AT_ONCE]) for first in whole[::AT_ONCE]]
    sides = {}
    for kind, ours in models.items():
        mixed = [_of_models(ours, part.pool, chunk) for chunk in chunks]
        sides[kind] = mixed[0] if alone else NormalMixture.stacked([one.merged() for one in mixed])
    return sides


def conditions(pool: PoolState, probe: Probe) -> tuple[FloatArray, FloatArray, list[Place]]:
    """(P,) headroom and dilution of probes, what is unknown as it typically is, and where each stands."""
    typical = [pool.typical_baseline(family) for family in probe.family]
    w = dilution(probe.gap_spread, probe.gap) if pool.dilutes else np.zeros(len(probe))
    return (
        headroom(np.where(np.isnan(probe.baseline), typical, probe.baseline)),
        np.where(np.isnan(w), pool.typical_dilution, w),
        cautions.places(probe),
    )


def _of_models(models: list[ModelState], pool: PoolState, probe: Probe) -> NormalMixture:
    H, w, places = conditions(pool, probe)
    parts, found = exposed(pool.exposure, probe, H, w), []
    for link, at in by_link(pool, models, places):
        sides = [(share[:, None], normals(link, at, asked)) for share, asked in parts]
        for nodes in _nodes(at, sides[0][1][1].shape[1] // len(at.weight)):
            found += [(share * weight[:, nodes], mean[:, nodes], sd[:, nodes]) for share, (weight, mean, sd) in sides]
    return NormalMixture.beside(found)


def _nodes(at: Coefficients, points: int) -> Iterator[slice]:
    """Return where each model's normals are: they stay together, so that a mixture's sums are those of one by one."""
    ends = np.cumsum(at.sizes or (len(at.weight),)) * points
    return (slice(int(first), int(last)) for first, last in pairwise((0, *ends)))


def _whole(sides: Mapping[Kind, NormalMixture]) -> NormalMixture:
    if len(sides) == 1:
        return next(iter(sides.values()))
    return NormalMixture.beside([(side.weight, side.mean, side.sd) for side in sides.values()])


def _joined(mixtures: list[NormalMixture], shared: list[Part]) -> NormalMixture:
    """One row a probe, in their own order."""
    if len(mixtures) == 1:
        return mixtures[0]
    order = np.argsort(np.concatenate([part.rows for part in shared]))
    return NormalMixture.stacked(mixtures).take(order)


def _prediction(
    predictive: NormalMixture, probe: Probe, refused: BoolArray, p_collapse: FloatArray, levels: tuple[float, ...]
) -> Prediction:
    lowest, highest = possible(probe)

    def shaped(value: FloatArray) -> FloatArray:
        return np.where(refused, np.nan, value).reshape(probe.shape)[()]

    return Prediction(
        mean=shaped(np.clip(predictive.centre, lowest, highest)),
        p_positive=shaped(1 - predictive.cdf(np.zeros(len(probe)))),
        p_collapse=p_collapse.reshape(probe.shape)[()],
        refused=refused.reshape(probe.shape)[()],
        warnings=(),
        branches=(),
        levels=levels,
        _mixture=predictive,
        _lowest=lowest,
        _highest=highest,
    )


def _branches(
    part: Part, sides: Mapping[Kind, NormalMixture], rows: IndexArray, levels: tuple[float, ...]
) -> Iterator[Branch]:
    """What the line alone and what the bent links alone predict for some of a pool's probes."""
    probe, U = part.probe.take(rows), len(rows)
    for kind, side in sides.items():
        models = [one for one in part.pool.models if one.kind is kind]
        weight = sum(one.weight for one in models)
        p_collapse = np.full(U, sum(one.weight * one.pi for one in models) / weight)
        alone = replace(side.take(rows), weight=side.weight[rows] / weight)
        prediction = _prediction(alone, probe, np.zeros(U, dtype=np.bool_), p_collapse, levels)
        yield Branch(tuple(part.rows[rows].tolist()), kind, weight, prediction)
