"""What a prediction and a reader need of a pool's rows beside the law; written with each fit, pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from service.law import Observations, drift_log_bayes_factor
from service.observations.repository import AnyRow

DRIFT_ALARM = 3.0
"""log Bayes factor of a family's versions being families of their own (LAW.md, "What it says")"""
MOST_ROWS_FOR_DRIFT = 5_000
"""a test of drift is a refit for each family with several versions; over this it would delay every fit"""


def summarize(
    rows: Sequence[AnyRow], observations: Observations, costs: Iterable[tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    """Medians of the measurement, training seconds by model, and drift by family.

    Returns:
        `measurement_var` (median sampling variance of the improvements, null without rows), `baseline` and `gap`
        (medians by family), `collapsed` (rows), `seconds_per_rollout` (by model: `median`, `runs`), `drift` (by family
        with several versions: `log_bayes_factor`, `versions`; null where it was not tested).
    """
    by_family: dict[str, list[AnyRow]] = {}
    for row in rows:
        by_family.setdefault(row.family, []).append(row)
    return {
        "measurement_var": median(row.improvement_se**2 for row in rows) if rows else None,
        "baseline": {name: median(row.baseline for row in ours) for name, ours in by_family.items()},
        "gap": {name: median(row.gap for row in ours) for name, ours in by_family.items()},
        "collapsed": sum(row.collapsed for row in rows),
        "seconds_per_rollout": _rates(costs),
        "drift": _drift(rows, observations, by_family),
    }


def rollouts(recipe: dict[str, Any]) -> int | None:
    """Rollouts that a training run draws; null where the recipe does not say."""
    sizes = [recipe.get(name) for name in ("steps", "problems_per_step", "group_size")]
    whole = [size for size in sizes if isinstance(size, int)]
    return math.prod(whole) if len(whole) == len(sizes) else None


def _rates(costs: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    rates: dict[str, list[float]] = {}
    for model, provenance in costs:
        cost = provenance.get("cost")
        seconds = cost.get("seconds") if isinstance(cost, dict) else None
        drawn = rollouts(provenance.get("recipe") or {})
        # notes are people's own: what is no sensible cost is none
        if isinstance(seconds, int | float) and 0 < seconds < 1e12 and drawn:
            rates.setdefault(model, []).append(seconds / drawn)
    return {model: {"median": median(values), "runs": len(values)} for model, values in rates.items()}


def _drift(
    rows: Sequence[AnyRow], observations: Observations, by_family: dict[str, list[AnyRow]]
) -> dict[str, dict[str, Any]] | None:
    if len(rows) > MOST_ROWS_FOR_DRIFT:
        return None
    versions = [row.version or "" for row in rows]
    found = {}
    for family, ours in by_family.items():
        counts = Counter(row.version or "" for row in ours)
        if len(counts) > 1:
            factor = drift_log_bayes_factor(observations, family, versions)
            if not math.isfinite(factor):
                continue
            found[family] = {"log_bayes_factor": factor, "versions": dict(counts)}
    return found
