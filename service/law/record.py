"""A fitted law as JSON and back: sufficient statistics, never rows."""

from typing import Any

import numpy as np

from service.law import collapse, exposure, grid, posterior
from service.law.exposure import Exposure, GapSums
from service.law.grid import Grid
from service.law.leaves import Leaves
from service.law.observations import FloatArray
from service.law.posterior import Posterior, Totals
from service.law.rows import Statistics
from service.law.state import FamilySummary, LawState

VERSION = 1

PRIORS = {
    "mu_mean": posterior.PRIOR_MEAN.tolist(),
    "mu_precision": posterior.PRIOR_PRECISION.tolist(),
    "sigma_scale": grid.SIGMA_SCALE,
    "tau0_scale": grid.TAU0_SCALE,
    "tau1_scale": grid.TAU1_SCALE,
    "collapse": [collapse.PRIOR_COLLAPSED, collapse.PRIOR_RUNS],
    "exposure": [exposure.PRIOR_MEAN, exposure.PRIOR_SD, exposure.PRIOR_WEIGHT, exposure.SMALLEST_SD],
    "flat_exposure": [exposure.FLAT_LOW, exposure.FLAT_HIGH, exposure.FLAT_WEIGHT],
}


def to_record(state: LawState) -> dict[str, Any]:
    """Write the state as JSON values; Python's JSON keeps every bit of a float."""
    statistics, nodes, totals = state.posterior.statistics.settled(), state.posterior.grid, state.posterior.totals
    return {
        "version": VERSION,
        "priors": PRIORS,
        "exposure": {"mean": state.exposure.mean, "variance": state.exposure.variance},
        "pi": state.pi,
        "grid": {name: getattr(nodes, name).tolist() for name in ("sigma", "tau0", "tau1", "rho")},
        "leaves": [list(leaf) for leaf in statistics.leaves.keys],
        "A": _written(statistics.A),
        "R": _written(statistics.R),
        "log_factor": _written(statistics.log_factor),
        # sums over families at every node are most of a record; only updates leave them other than their sum made anew
        "totals": {name: _written(getattr(totals, name)) for name in ("W", "u", "log_factor")}
        if state.updated
        else None,
        "slope": state.slope.tolist(),
        "slope_square": state.slope_square.tolist(),
        "families": {name: list(summary) for name, summary in state.families.items()},
        "curvature": None if np.isnan(state.curvature) else state.curvature,
        "log_evidence": state.log_evidence,
        "ids_hash": state.ids_hash,
        "gaps": list(state.gaps),
        "weight_sum": state.weight_sum,
        "stale": state.stale,
    }


def _written(values: FloatArray) -> Any:  # noqa: ANN401
    """As lists, without -0.0, which not every store of JSON keeps."""
    return (values + 0.0).tolist()


def from_record(record: dict[str, Any]) -> LawState:
    """Read what ``to_record`` wrote.

    Raises:
        ValueError: the record was written by a law with another version or other priors.
    """
    if record["version"] != VERSION or record["priors"] != PRIORS:
        raise ValueError(f"a record of version {record['version']!r}; this law reads {VERSION} with its own priors")
    leaves = Leaves((family, cell) for family, cell in record["leaves"])
    L, K = len(leaves), len(record["grid"]["sigma"])
    statistics = Statistics(
        leaves,
        np.array(record["A"]).reshape(3, L, K),
        np.array(record["R"]).reshape(2, L, K),
        np.array(record["log_factor"]),
    )
    nodes = Grid(**{name: np.array(axis) for name, axis in record["grid"].items()})
    if record["totals"] is None:
        integrated = Posterior.of(statistics, nodes)
    else:
        totals = Totals(**{name: np.array(value) for name, value in record["totals"].items()})
        integrated = Posterior(nodes, statistics, totals)
    return LawState(
        exposure=Exposure(**record["exposure"]),
        pi=record["pi"],
        posterior=integrated,
        slope=np.array(record["slope"]),
        slope_square=np.array(record["slope_square"]),
        families={name: FamilySummary(*summary) for name, summary in record["families"].items()},
        curvature=float("nan") if record["curvature"] is None else record["curvature"],
        log_evidence=record["log_evidence"],
        ids_hash=record["ids_hash"],
        gaps=GapSums(*record["gaps"]),
        weight_sum=record["weight_sum"],
        stale=record["stale"],
        updated=record["totals"] is not None,
    )
