"""A fitted law as JSON and back: sufficient statistics, never rows."""

from typing import Any

import numpy as np

from service.law import collapse, exposure, grid, models, priors
from service.law.exposure import Exposure, GapSums
from service.law.grid import Grid
from service.law.keys import Key, Rule
from service.law.leaves import Leaves
from service.law.links import LINEAR, LINKS, LinkName
from service.law.models import PUBLISHED, Model
from service.law.observations import FloatArray
from service.law.pools import LawState
from service.law.posterior import Posterior, Totals
from service.law.rows import Statistics
from service.law.state import FamilySummary, ModelState, PoolState

Record = dict[str, Any]
"""A part of a fitted law as JSON values; `VERSION` says which ones."""

VERSION = 2
STRAIGHT_VERSION = 1  # one pool and the line alone

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


def to_record(state: LawState) -> Record:
    """Write the state as JSON values; Python's JSON keeps every bit of a float."""
    return {
        "version": VERSION,
        "priors": {**PRIORS, **BENT_PRIORS},
        "links": list(state.links),
        "undivided": state.undivided,
        "pools": [{"rule": key.rule, "divergence": key.divergence, **_pool(pool)} for key, pool in state.pools.items()],
        "counts": [
            [*leaf, key.rule, key.divergence, n] for leaf, counts in state.counts.items() for key, n in counts.items()
        ],
        "ids_hash": state.ids_hash,
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
        "models": [_model(each, updated=pool.updated) for each in pool.models],
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
    if record["version"] != VERSION or record["priors"] != {**PRIORS, **BENT_PRIORS}:
        raise ValueError(f"a record of version {record['version']!r}; this law reads {VERSION} with its own priors")
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
    )


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
    return PoolState(
        exposure=Exposure(**pool["exposure"]),
        families={name: _summary(*summary) for name, summary in pool["families"].items()},
        baseline=_read(pool["baseline"]),
        curvature=_read(pool["curvature"]),
        gaps=GapSums(*pool["gaps"]),
        models=tuple(_read_model(each) for each in pool["models"]),
        straightened=pool["straightened"],
        stale=pool["stale"],
        updated=pool["updated"],
    )


def _read_model(model: Record) -> ModelState:
    link = LINKS[LinkName(model["link"])]
    leaves = Leaves((family, cell) for family, cell in model["leaves"])
    L, K = len(leaves), len(model["grid"]["sigma"])
    statistics = Statistics(
        leaves,
        np.array(model["A"]).reshape(3, L, K),
        np.array(model["R"]).reshape(2, L, K),
        np.array(model["log_factor"]),
    )
    axes = {name: np.array(axis) for name, axis in model["grid"].items()}
    nodes = Grid(**axes, rhos=model["rhos"], slope_spread=link.prior.slope_spread)
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
    )


def _summary(n: int, lowest: float, highest: float, baseline: float | None = None) -> FamilySummary:
    return FamilySummary(n, lowest, highest, _read(baseline))


def _read(value: float | None) -> float:
    return float("nan") if value is None else value
