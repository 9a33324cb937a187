"""From a probe to its mixture of normals (docs: LAW step 5, part 2 "Prediction")."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from service.law import cautions
from service.law.components import at_leaves, exposed, normals
from service.law.keys import Key
from service.law.leaves import IndexArray
from service.law.links import LINEAR, headroom
from service.law.mixture import NormalMixture
from service.law.observations import FloatArray, Probe
from service.law.pools import LawState
from service.law.prediction import Branch, Kind, Prediction
from service.law.state import ModelState, PoolState


class Part(NamedTuple):
    """The probes that one pool answers, and their places among all."""

    pool: PoolState
    probe: Probe
    rows: IndexArray


def parts(state: LawState, probe: Probe) -> list[Part]:
    """Share probes out among the pools."""
    said = list(zip(probe.teacher, probe.divergence, probe.family, probe.cell, strict=True))
    pools = {one: state.answering(Key.of(*one[:2]), one[2:]) for one in dict.fromkeys(said)}
    rows: dict[int, list[int]] = {}
    for row, one in enumerate(said):
        rows.setdefault(id(pools[one]), []).append(row)
    by_id = {id(pool): pool for pool in pools.values()}
    if len(rows) == 1:
        return [Part(*by_id.values(), probe, np.arange(len(probe)))]
    return [Part(by_id[name], probe.take(np.array(ours)), np.array(ours)) for name, ours in rows.items()]


def mixture(state: LawState, probe: Probe) -> NormalMixture:
    """Mix the predictive distribution of each of P probes over links, kappas, nodes and both parts of its exposure."""
    shared = parts(state, probe)
    return _joined([_mixed(part.pool.models, part) for part in shared], shared, len(probe))


def predict(state: LawState, probe: Probe, levels: tuple[float, ...]) -> Prediction:
    """Predicted improvements with their cautions."""
    P, shared = len(probe), parts(state, probe)
    mixtures = [_mixed(part.pool.models, part) for part in shared]
    predictive = _joined(mixtures, shared, P)
    mean, (lowest, highest) = predictive.centre, possible(probe)
    refused, p_collapse = np.zeros(P, dtype=np.bool_), np.empty(P)
    warnings, every_branch = [], []
    for part in shared:
        refused[part.rows] = cautions.refused(part.pool, part.probe, mean[part.rows])
        p_collapse[part.rows] = part.pool.p_collapse
        branches = {place: list(_branches(part, place, levels)) for place in _undecided(part)}
        for caution in cautions.cautions(part.pool, part.probe, refused[part.rows], branches):
            warnings.append(replace(caution, probe=int(part.rows[caution.probe])))
        every_branch += [
            branch._replace(probe=int(part.rows[place])) for place, both in branches.items() for branch in both
        ]

    def shaped(value: FloatArray) -> FloatArray:
        return np.where(refused, np.nan, value).reshape(probe.shape)[()]

    return Prediction(
        mean=shaped(np.clip(mean, lowest, highest)),
        p_positive=shaped(1 - predictive.cdf(np.zeros(P))),
        p_collapse=p_collapse.reshape(probe.shape)[()],
        refused=refused.reshape(probe.shape)[()],
        warnings=tuple(sorted(warnings, key=lambda caution: caution.probe)),
        branches=tuple(sorted(every_branch, key=lambda branch: branch.probe)),
        levels=levels,
        _mixture=predictive,
        _lowest=lowest,
        _highest=highest,
    )


def possible(probe: Probe) -> tuple[FloatArray, FloatArray]:
    """(P,) lowest and highest improvements that can come out, infinite where nothing bounds them."""
    # a measured improvement with a baseline of its own can leave the range by its own noise
    clipped = ~np.isnan(probe.baseline) & ((probe.improvement_var == 0) | (probe.cov != 0))
    return np.where(clipped, -probe.baseline, -np.inf), np.where(clipped, 1 - probe.baseline, np.inf)


def _mixed(models: tuple[ModelState, ...], part: Part) -> NormalMixture:
    probe = part.probe
    leaves = list(zip(probe.family, probe.cell, strict=True))
    typical = [part.pool.typical_baseline(family) for family in probe.family]
    H = headroom(np.where(np.isnan(probe.baseline), typical, probe.baseline))
    found = []
    for state in models:
        at = at_leaves(state, leaves)
        for share, asked in exposed(part.pool.exposure, probe, H):
            weight, mean, sd = normals(state, at, asked)
            found.append((share[:, None] * weight, mean, sd))
    return NormalMixture(*(np.concatenate(column, axis=1) for column in zip(*found, strict=True)))


def _joined(mixtures: list[NormalMixture], shared: list[Part], P: int) -> NormalMixture:
    """One row a probe in their own order; shorter mixtures get normals of no weight."""
    if len(mixtures) == 1:
        return mixtures[0]
    most = max((one.mean.shape[1] for one in mixtures), default=1)
    weight, mean, sd = np.zeros((P, most)), np.zeros((P, most)), np.ones((P, most))
    for one, part in zip(mixtures, shared, strict=True):
        C = one.mean.shape[1]
        weight[part.rows, :C], mean[part.rows, :C], sd[part.rows, :C] = one.weight, one.mean, one.sd
    return NormalMixture(weight, mean, sd)


def _undecided(part: Part) -> list[int]:
    return [int(place) for place in np.flatnonzero(cautions.undecided(part.pool, part.probe))]


def _branches(part: Part, place: int, levels: tuple[float, ...]) -> Iterator[Branch]:
    """What the line alone and what the bent links alone predict for one probe."""
    probe = part.probe.take(np.array([place]))
    lowest, highest = possible(probe)
    for kind in Kind:
        models = [one for one in part.pool.models if (one.model.link is LINEAR) == (kind is Kind.LINEAR)]
        weight = sum(one.weight for one in models)
        alone = tuple(replace(one, weight=one.weight / weight) for one in models)
        predictive = _mixed(alone, Part(part.pool, probe, np.zeros(1, dtype=np.intp)))
        prediction = Prediction(
            mean=np.clip(predictive.centre, lowest, highest)[0],
            p_positive=1 - predictive.cdf(np.zeros(1))[0],
            p_collapse=np.float64(sum(one.weight * one.pi for one in alone)),
            refused=np.False_,
            warnings=(),
            branches=(),
            levels=levels,
            _mixture=predictive,
            _lowest=lowest,
            _highest=highest,
        )
        yield Branch(place, kind, weight, prediction)
