"""What a prediction and a reader need of a pool's rows beside the law; written with each fit, pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from pydantic import BaseModel, Field

from gapcast.contract.observations import Notes
from gapcast.contract.recipes import recipe_class_of
from service.fits.laws import Table, Target
from service.fits.tuning import Cells
from service.law import drift_log_bayes_factor
from service.law.dose import Dose
from service.observations.repository import AnyRow

DRIFT_ALARM = 3.0
"""log Bayes factor of a family's versions being families of their own (LAW.md, "What it says")"""
MOST_ROWS_FOR_DRIFT = 5_000
"""a test of drift is a refit for each family with several versions; over this it would delay every fit"""


class Rate(BaseModel):
    """Seconds of training for each rollout that is drawn: the median of runs of one model."""

    median: float
    runs: int


class Drifting(BaseModel):
    """How far the versions of one family follow laws of their own, and the runs of each version."""

    log_bayes_factor: float
    versions: dict[str, int]

    @property
    def alarm(self) -> bool:
        """True if they do."""
        return self.log_bayes_factor > DRIFT_ALARM


class Ended(BaseModel):
    """Runs of one recipe class that ended in one bin of steps."""

    recipe_class: str
    dose: Dose
    collapsed: bool
    runs: int


class Lent(BaseModel):
    """A pool whose families stood beside a fit's own, as it was then."""

    pool: str
    changes: int
    hash: str
    """fingerprint of its rows"""
    fit_id: str | None
    """its own fit of these rows; None where it had none yet"""


class PoolSummary(BaseModel):
    """Medians of the measurement, training seconds by model, and drift by family; what an old fit lacks is empty."""

    measurement_var: float | None = None
    """the median sampling variance of the improvements; None without rows"""
    baseline: dict[str, float] = Field(default_factory=dict)
    """medians by family; likewise the next one"""
    gap: dict[str, float] = Field(default_factory=dict)
    collapsed: int = 0
    """rows"""
    seconds_per_rollout: dict[str, Rate] = Field(default_factory=dict)
    """by model"""
    drift: dict[str, Drifting] | None = None
    """by family with several versions; None where it was not tested"""
    cells: Cells = Field(default_factory=dict)
    """how the runs of each cell were tuned, and how long they trained"""
    collapses: list[Ended] = Field(default_factory=list)
    """runs by recipe class, dose and whether they collapsed"""
    lent: list[Lent] = Field(default_factory=list)


def summarize(rows: Sequence[AnyRow], table: Table, costs: Iterable[tuple[str, Notes]]) -> PoolSummary:
    """Sum up what a prediction and a reader need beside the laws."""
    places = table.known(Target.TRAIN).tolist()
    trained = rows if len(places) == len(rows) else [rows[place] for place in places]
    by_family: dict[str, list[AnyRow]] = {}
    for row in trained:
        by_family.setdefault(row.family, []).append(row)
    return PoolSummary(
        measurement_var=median(row.improvement_se**2 for row in trained) if trained else None,
        baseline={name: median(row.baseline for row in ours) for name, ours in by_family.items()},
        gap={name: median(row.gap for row in ours) for name, ours in by_family.items()},
        collapsed=sum(row.collapsed for row in trained),
        seconds_per_rollout=_rates(costs),
        drift=_drift(trained, table, by_family),
        cells=table.cells,
        collapses=_collapses(table),
    )


def _collapses(table: Table) -> list[Ended]:
    known = Counter(zip(*(table.column[name] for name in ("cell", "steps", "collapsed")), strict=True))
    found: Counter[tuple[str, Dose, bool]] = Counter()
    for (cell, steps, collapsed), runs in known.items():
        if cell is not None and steps is not None:
            found[recipe_class_of(cell).recipe_class, Dose.of(steps), collapsed] += runs
    return [
        Ended(recipe_class=name, dose=dose, collapsed=collapsed, runs=runs)
        for (name, dose, collapsed), runs in sorted(found.items())
    ]


def rollouts(recipe: Notes) -> int | None:
    """Rollouts that a training run draws; null where the recipe does not say."""
    sizes = [recipe.get(name) for name in ("steps", "problems_per_step", "group_size")]
    whole = [size for size in sizes if isinstance(size, int)]
    return math.prod(whole) if len(whole) == len(sizes) else None


def _rates(costs: Iterable[tuple[str, Notes]]) -> dict[str, Rate]:
    rates: dict[str, list[float]] = {}
    for model, provenance in costs:
        cost = provenance.get("cost")
        seconds = cost.get("seconds") if isinstance(cost, dict) else None
        drawn = rollouts(provenance.get("recipe") or {})
        # notes are people's own: what is no sensible cost is none
        if isinstance(seconds, int | float) and 0 < seconds < 1e12 and drawn:
            rates.setdefault(model, []).append(seconds / drawn)
    return {model: Rate(median=median(values), runs=len(values)) for model, values in rates.items()}


def _drift(rows: Sequence[AnyRow], table: Table, by_family: dict[str, list[AnyRow]]) -> dict[str, Drifting] | None:
    if len(rows) > MOST_ROWS_FOR_DRIFT:
        return None
    observations = table.at_ends(Target.TRAIN)
    versions = [row.version or "" for row in rows]
    found = {}
    for family, ours in by_family.items():
        counts = Counter(row.version or "" for row in ours)
        if len(counts) > 1:
            factor = drift_log_bayes_factor(observations, family, versions)
            if not math.isfinite(factor):
                continue
            found[family] = Drifting(log_bayes_factor=factor, versions=counts)
    return found
