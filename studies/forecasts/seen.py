"""The study's runs as the law and the model of a curve take them, each forecast without its context."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from gapcast.contract.recipes import Recipe, cell_of
from service.law import GapLaw, Observations
from service.law.curve import BEYOND_LAW, Begun, Cell, Curve, Finished, Forecast, Grounds, cell, forecast, prior
from service.law.mixture import NormalMixture
from service.law.observations import FloatArray
from service.law.predicting import mixture
from studies.forecasts.plan import PROBLEMS, WORLDS
from studies.links.run import RUNS as LINKS

LEAST_WITHIN = 0.02
"""of a rollout's variance around its problem's accuracy"""
MOST_PASSES = 8
"""observations that the training rollouts are pooled to"""

Row = dict[str, Any]


def links() -> list[Row]:
    """Read the runs of the study of links, as this one names its own."""
    worlds = {model: name for name, world in WORLDS.items() for model in world.models}
    rows = [json.loads(line) for line in LINKS.read_text().splitlines()]
    return [row | {"world": worlds[row["model"]]} for row in rows]


def place(row: Row) -> int:
    """Return the place of a run's context in its world's list: what is left out together."""
    return list(WORLDS[row["world"]].contexts).index(row["context"])


def law_of(rows: Sequence[Row]) -> GapLaw:
    """Fit the law to these runs."""
    recipes = [Recipe(teacher=row["teacher"], divergence=row.get("divergence", "forward_kl")) for row in rows]
    found = Observations(
        gap=[row["gap"]["value"] for row in rows],
        gap_var=[row["gap"]["se"] ** 2 for row in rows],
        improvement=[row["improvement"]["value"] for row in rows],
        improvement_var=[row["improvement"]["se"] ** 2 for row in rows],
        cov=[row["cov"] for row in rows],
        family=[question(row)["family"] for row in rows],
        cell=[
            cell_of(question(row)["family"], WORLDS[row["world"]].task, recipe)
            for row, recipe in zip(rows, recipes, strict=True)
        ],
        baseline=[row["baseline"] for row in rows],
        collapsed=[row["collapsed"] for row in rows],
        teacher=[recipe.teacher for recipe in recipes],
        divergence=[recipe.divergence for recipe in recipes],
        context=[f"{row['world']}:{row['context']}" for row in rows],
        model=[model_of(row) for row in rows],
    )
    return GapLaw().fit(found)


def model_of(row: Row) -> str:
    """Return the model's name."""
    return str(row.get("model") or WORLDS[row["world"]].models[0])


def question(row: Row) -> dict[str, Any]:
    """Ask the law of a run, but for what is measured."""
    family = "lab-qwen3" if row["world"] == "addition" else "lab-cipher-qwen3"
    recipe = Recipe(teacher=row["teacher"])
    return {
        "family": family,
        "cell": cell_of(family, WORLDS[row["world"]].task, recipe),
        "teacher": recipe.teacher,
        "divergence": recipe.divergence,
        "context": f"{row['world']}:{row['context']}",
        "model": model_of(row),
    }


def var_of(within: float, rollouts: int = 4) -> float:
    """Return the sampling variance of an accuracy on the study's problems."""
    return max(within, LEAST_WITHIN) / (PROBLEMS * rollouts)


def looks(row: Row) -> Curve:
    """Return a run's evaluations before its end."""
    rows = np.array(row["curve"][:-1])
    return Curve(
        rows[:, 0] / row["steps"],
        rows[:, 1],
        np.array([var_of(within) for within in rows[:, 4]]),
        var_of(row["baseline_within"]),
    )


def rollouts(row: Row, until: float) -> Curve | None:
    """Return what the training rollouts score until a share of the steps, pooled to a few looks; None: no pass yet."""
    rows = np.array(row["passes"])
    t = (rows[:, 0] - 1) / row["steps"]
    last = rows[:, 0] + 1.5 <= until * row["steps"] + 1e-9  # the pass has ended
    rows, t = rows[last], t[last]
    if not len(rows):
        return None
    parts = np.array_split(np.arange(len(rows)), min(MOST_PASSES, len(rows)))
    var = [var_of(rows[part, 2].mean()) / len(part) for part in parts]
    return Curve(
        np.array([t[part].mean() for part in parts]),
        np.array([rows[part, 1].mean() for part in parts]),
        np.array(var),
        var_of(row["baseline_within"]),
    )


def end_of(row: Row) -> float:
    """Return a run's measured improvement."""
    return float(row["improvement"]["value"])


def end_var(row: Row) -> float:
    """Return the sampling variance of its last evaluation."""
    return var_of(row["curve"][-1][4])


def finished(row: Row) -> Finished:
    """Return a run as others learn from it."""
    return Finished(looks(row), end_of(row), end_var(row))


@dataclass(frozen=True, eq=False)
class Seen:
    """A run that was forecast by a law and curves that do not know its context."""

    row: Row
    predicted: NormalMixture
    cell: Cell
    curve: Curve

    @property
    def end(self) -> float:
        """Its measured improvement."""
        return end_of(self.row)

    def before(self, omega: float) -> FloatArray:
        """Return the law's answer on the grid of ends."""
        var = end_var(self.row)
        return prior(self.predicted, var + self.curve.baseline_var, var, self.row["baseline"], omega)

    @cache  # noqa: B019 - the report ends
    def after(self, omega: float = BEYOND_LAW) -> Forecast:
        """Forecast after each look."""
        return forecast(self.before(omega), self.cell, self.curve, self.row["baseline"])

    def at(self, share: float) -> int:
        """Return the place of its look at a share of the steps."""
        return int(np.argmin(np.abs(self.curve.t - share)))


def seen(rows: Sequence[Row], more: Sequence[Row]) -> list[Seen]:
    """Leave each context out, and forecast its runs."""
    found = []
    for left in sorted(set(map(place, rows))):
        others = [row for row in rows if place(row) != left]
        law = law_of(others + [row for row in more if place(row) != left])
        for row in rows:
            if place(row) != left:
                continue
            like = [one for one in others if (one["world"], one["teacher"]) == (row["world"], row["teacher"])]
            known, curve = cell([finished(one) for one in like]), looks(row)
            begun = Begun(row["baseline"], row["gap"]["value"], row["gap"]["se"] ** 2, row["cov"])
            var = end_var(row) + curve.baseline_var
            predicted = mixture(law.state_, Grounds(law, question(row), known).probe(begun, var)).merged()
            found.append(Seen(row, predicted, known, curve))
    return found
