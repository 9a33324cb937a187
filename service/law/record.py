"""A fitted law as JSON and back: sufficient statistics, never rows."""

from typing import Any

import numpy as np

from service.law import collapse, contexts, exposure, grid, models, priors, scales
from service.law.contexts import Contexts, Place
from service.law.effects import ConfigurationSums
from service.law.exposure import Exposure, GapSums
from service.law.grid import Carry, Grid
from service.law.keys import Key, Rule
from service.law.leaves import Leaves
from service.law.links import LINEAR, LINKS, LinkName
from service.law.models import PUBLISHED, Model
from service.law.observations import FloatArray
from service.law.pools import Borrowed, LawState
from service.law.posterior import Posterior, Totals
from service.law.rows import Statistics
from service.law.scales import Scales
from service.law.state import FamilySummary, ModelState, PoolState, StoredEffects

Record = dict[str, Any]
"""A part of a fitted law as JSON values; `VERSION` says which ones."""

VERSION = 3
STRAIGHT_VERSION = 1  # one pool and the line alone
LINKS_VERSION = 2  # before contexts

PRIORS = {
    "mu_mean": priors.STRAIGHT.mean.tolist(),
    "mu_precision": priors.STRAIGHT.precision.tolist(),
    "sigma_scale": grid.SIGMA_SCALE,
    "tau0_scale": grid.TAU0_SCALE,
    "tau1_scale": priors.STRAIGHT.slope_spread,
    "collapse": [collapse.PRIOR_COLLAPSED, collapse.PRIOR_RUNS],
    "exposure": [exposure.PRIOR_MEAN, exposure.PRIOR_SD, exposure.PRIOR_WEIGHT, exposure.SMALLEST_SD],
    "flat_exposure": [exposure.FLAT_LOW, exposure.FLAT_HIGH, exposure.FLAT_WEIGHT],
}
BENT_PRIORS = {
    "bent": list(priors.BENT),
    "near": models.NEAR,
    "extra": [list(pair) for pair in models.EXTRA.items()],
    "links": {rule.value: {name.value: share for name, share in of.items()} for rule, of in models.LINK_PRIOR.items()},
}
CONTEXT_PRIORS = {
    "tau_scale": scales.TAU_SCALE,
    "no_effects": scales.NO_EFFECTS,
    "configuration_shares": list(scales.CONFIGURATION_SHARES),
    "dilution": [contexts.SPREAD_OF_NOTHING, contexts.SMALLEST_GAP],
    "dilution_scale": [list(pair) for pair in grid.DILUTION_SCALE.items()],
    "cell_dilution": grid.CELL_DILUTION,
}


def to_record(state: LawState) -> Record:
    """Write the state as JSON values; Python's JSON keeps every bit of a float."""
    return {
        "version": VERSION,
        "priors": {**PRIORS, **BENT_PRIORS, **CONTEXT_PRIORS},
        "links": list(state.links),
        "dilution": state.dilution,
        "undivided": state.undivided,
        "pools": [{"rule": key.rule, "divergence": key.divergence, **_pool(pool)} for key, pool in state.pools.items()],
        "counts": [
            [*leaf, key.rule, key.divergence, n] for leaf, counts in state.counts.items() for key, n in counts.items()
        ],
        "ids_hash": state.ids_hash,
        **({} if state.borrowed is None else {"borrowed": _borrowed(state.borrowed)}),
    }


def _borrowed(borrowed: Borrowed) -> Record:
    return {
        "families": dict(borrowed.families),
        "left_out": list(borrowed.left_out),
        "ids_hash": borrowed.ids_hash,
    }


def _pool(pool: PoolState) -> Record:
    return {
        "exposure": {"mean": pool.exposure.mean, "variance": pool.exposure.variance},
        "families": {name: [*summary[:3], _known(summary.baseline)] for name, summary in pool.families.items()},
        "baseline": _known(pool.baseline),
        "curvature": _known(pool.curvature),
        "gaps": list(pool.gaps),
        "straightened": pool.straightened,
        "stale": pool.stale,
        "updated": pool.updated,
        "contexts_known": pool.contexts_known,
        "contexts": None if pool.contexts is None else _contexts(pool.contexts),
        "wants_spread": pool.wants_spread,
        "dilutions": None if pool.dilutions is None else list(pool.dilutions),
        **({"lent": dict(pool.lent)} if pool.lent else {}),
        "models": [_model(each, updated=pool.updated) for each in pool.models],
    }


def _contexts(found: Contexts) -> Record:
    return {
        "places": [[*place.leaf, place.context, place.model] for place in found.places],
        "n": found.n.tolist(),
        "context": found.context.tolist(),
        "leaf": found.leaf.tolist(),
    }


def _model(state: ModelState, *, updated: bool) -> Record:
    posterior = state.posterior
    statistics, nodes = posterior.statistics.settled(), posterior.grid
    return {
        "link": state.model.link.name,
        "extra": state.model.extra,
        "weight": state.weight,
        "pi": state.pi,
        "grid": {name: getattr(nodes, name).tolist() for name in ("sigma", "tau0", "tau1", "rho")},
        "rhos": nodes.rhos,
        "scales": None
        if nodes.scales is None
        else {name: getattr(nodes.scales, name).tolist() for name in ("tau", "share", "log_prior")},
        "carry": None if nodes.carry is None else [part.tolist() for part in nodes.carry],
        "effects": None
        if state.effects is None
        else {"A": _written(state.effects.sums.A), "R": _written(state.effects.sums.R)},
        "leaves": [list(leaf) for leaf in statistics.leaves.keys],
        "A": _written(statistics.A),
        "R": _written(statistics.R),
        "log_factor": _written(statistics.log_factor),
        # sums over families at every node are most of a record; only updates leave them other than their sum made anew
        "totals": {name: _written(getattr(posterior.totals, name)) for name in ("W", "u", "log_factor")}
        if updated
        else None,
        "slope": state.slope.tolist(),
        "slope_square": state.slope_square.tolist(),
        "log_evidence": state.log_evidence,
        "weight_sum": state.weight_sum,
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _written(values: FloatArray) -> Any:  # noqa: ANN401
    """As lists, without -0.0, which not every store of JSON keeps."""
    return (values + 0.0).tolist()


def from_record(record: Record) -> LawState:
    """Read what ``to_record`` wrote, now or when the law was the line alone.

    Raises:
        ValueError: the record was written by a law with another version or other priors.
    """
    if record["version"] == STRAIGHT_VERSION and record["priors"] == PRIORS:
        return _straight(record)
    known = {
        LINKS_VERSION: {**PRIORS, **BENT_PRIORS},
        VERSION: {**PRIORS, **BENT_PRIORS, **CONTEXT_PRIORS},
    }
    if record["priors"] != known.get(record["version"]):
        raise ValueError(
            f"version: expected a record of version {VERSION} or before, with that version's priors, "
            f"got {record['version']!r}. Fit the stored runs again."
        )
    counts: dict[tuple[str, str | None], dict[Key, int]] = {}
    for family, cell, rule, divergence, n in record["counts"]:
        counts.setdefault((family, cell), {})[Key(Rule(rule), divergence)] = n
    return LawState(
        links=tuple(record["links"]),
        pools={Key(Rule(pool["rule"]), pool["divergence"]): _read_pool(pool) for pool in record["pools"]},
        counts=counts,
        keys=frozenset(key for each in counts.values() for key in each),
        ids_hash=record["ids_hash"],
        undivided=record["undivided"],
        dilution=record.get("dilution", False),
        borrowed=None if record.get("borrowed") is None else _read_borrowed(record["borrowed"]),
    )


def _read_borrowed(written: Record) -> Borrowed:
    return Borrowed(written["families"], tuple(written["left_out"]), written["ids_hash"])


def _straight(record: Record) -> LawState:
    """Read the line of version 1: it pooled all teachers, and goes on to."""
    rhos = len(grid.RHO) if any(record["grid"]["rho"]) else 1
    line = {**record, "link": LINEAR.name, "extra": PUBLISHED.extra, "weight": 1.0, "rhos": rhos}
    pool = {**record, "baseline": None, "straightened": False, "updated": record["totals"] is not None}
    key = Key.of(None, None)
    return LawState(
        links=(LINEAR.name.value,),
        pools={key.whole: _read_pool({**pool, "models": [line]})},
        counts={(family, cell): {key: 0} for family, cell in record["leaves"]},
        keys=frozenset([key]),
        ids_hash=record["ids_hash"],
        undivided=True,
    )


def _read_pool(pool: Record) -> PoolState:
    # before version 3 there were no contexts
    found = pool.get("contexts")
    groups = None if found is None else _read_contexts(found)
    dilutions = pool.get("dilutions")
    return PoolState(
        exposure=Exposure(**pool["exposure"]),
        families={name: _summary(*summary) for name, summary in pool["families"].items()},
        baseline=_read(pool["baseline"]),
        curvature=_read(pool["curvature"]),
        gaps=GapSums(*pool["gaps"]),
        models=tuple(_read_model(each, groups) for each in pool["models"]),
        straightened=pool["straightened"],
        stale=pool["stale"],
        updated=pool["updated"],
        contexts_known=pool.get("contexts_known", False),
        wants_spread=pool.get("wants_spread", False),
        dilutions=None if dilutions is None else (dilutions[0], dilutions[1], dilutions[2]),
        lent=pool.get("lent", {}),
    )


def _read_contexts(found: Record) -> Contexts:
    return Contexts(
        places=tuple(Place((family, cell), context, model) for family, cell, context, model in found["places"]),
        n=np.array(found["n"], dtype=np.intp),
        context=np.array(found["context"], dtype=np.intp),
        leaf=np.array(found["leaf"], dtype=np.intp),
    )


def _read_model(model: Record, groups: Contexts | None) -> ModelState:
    link = LINKS[LinkName(model["link"])]
    leaves = Leaves((family, cell) for family, cell in model["leaves"])
    carry = None if model.get("carry") is None else Carry(*map(np.array, model["carry"]))
    L, K, d = len(leaves), len(model["grid"]["sigma"]), 2 if carry is None else 3
    statistics = Statistics(
        leaves,
        np.array(model["A"]).reshape(d * (d + 1) // 2, L, K),
        np.array(model["R"]).reshape(d, L, K),
        np.array(model["log_factor"]),
    )
    axes = {name: np.array(axis) for name, axis in model["grid"].items()}
    triples = model.get("scales")
    spreads = (
        None if triples is None else Scales(axes["sigma"], **{name: np.array(value) for name, value in triples.items()})
    )
    nodes = Grid(**axes, rhos=model["rhos"], slope_spread=link.prior.slope_spread, scales=spreads, carry=carry)
    if model["totals"] is None:
        posterior = Posterior.of(statistics, nodes, link.prior)
    else:
        totals = Totals(**{name: np.array(value) for name, value in model["totals"].items()})
        posterior = Posterior(nodes, statistics, totals, link.prior)
    return ModelState(
        model=Model(link, model["extra"]),
        weight=model["weight"],
        pi=model["pi"],
        posterior=posterior,
        slope=np.array(model["slope"]),
        slope_square=np.array(model["slope_square"]),
        log_evidence=model["log_evidence"],
        weight_sum=model["weight_sum"],
        effects=None if groups is None else _read_effects(model["effects"], groups, d),
    )


def _read_effects(written: Record, groups: Contexts, d: int) -> StoredEffects:
    J, p = len(groups.places), (d + 1) * (d + 2) // 2
    return StoredEffects(
        groups,
        ConfigurationSums(np.array(written["A"]).reshape(p, J, -1), np.array(written["R"]).reshape(d + 1, J, -1)),
    )


def _summary(n: int, lowest: float, highest: float, baseline: float | None = None) -> FamilySummary:
    return FamilySummary(n, lowest, highest, _read(baseline))


def _read(value: float | None) -> float:
    return float("nan") if value is None else value
