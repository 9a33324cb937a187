"""How well the law predicts the lab pool's own runs, each context left out of the fit that predicts it.

Run `python studies/check_lab_pool.py`; docs/measurements.md quotes it.
"""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np

from gapcast.contract.recipes import RecipeClass, recipe_class_of
from service.law import GapLaw, Observations, Probe
from service.law.paired import assumed_components

Row = dict[str, Any]


def context_of(row: Row) -> str:
    """A context's name: kind and options."""
    return json.dumps(row["context"], sort_keys=True)


def recipe_of(row: Row) -> RecipeClass:
    """Teacher and divergence of a run."""
    return recipe_class_of(row["cell"])


def fit(rows: list[Row]) -> GapLaw:
    """The law of these rows."""
    return GapLaw().fit(
        Observations(
            gap=[row["gap"]["value"] for row in rows],
            gap_var=[row["gap"]["se"] ** 2 for row in rows],
            improvement=[row["improvement"]["value"] for row in rows],
            improvement_var=[row["improvement"]["se"] ** 2 for row in rows],
            cov=[row["cov"] for row in rows],
            family=[row["family"] for row in rows],
            cell=[row["cell"] for row in rows],
            baseline=[row["baseline"] for row in rows],
            collapsed=[row["collapsed"] for row in rows],
            teacher=[recipe_of(row).teacher for row in rows],
            divergence=[recipe_of(row).divergence for row in rows],
            ids=[row["external_id"] for row in rows],
        )
    )


def left_out(rows: list[Row], group: Callable[[Row], str]) -> None:
    """Print coverage and error of predictions whose group is left out of the fit."""
    inside = {0.8: 0, 0.95: 0}
    widths, errors, missed, refused = [], [], [], []
    for row in rows:
        law = fit([other for other in rows if group(other) != group(row)])
        probe = Probe(
            gap=row["gap"]["value"],
            gap_var=row["gap"]["se"] ** 2,
            family=row["family"],
            cell=row["cell"],
            baseline=row["baseline"],
            teacher=recipe_of(row).teacher,
            divergence=recipe_of(row).divergence,
            improvement_var=row["improvement"]["se"] ** 2,
            cov=row["cov"],
        )
        out, truth = law.predict_improvement(probe), row["improvement"]["value"]
        if out.refused:
            refused.append(row["external_id"])
            continue
        errors.append(abs(float(out.mean) - truth))
        for level in inside:
            lower, upper = (float(end) for end in out.interval(level))
            inside[level] += lower <= truth <= upper
            if level == 0.95:
                widths.append(upper - lower)
                if not lower <= truth <= upper:
                    missed.append(row["external_id"])
    n = len(rows) - len(refused)
    covered = f"80 % interval covers {inside[0.8]}/{n}, 95 % covers {inside[0.95]}/{n}"
    print(f"  {covered}, mean 95 % width {np.mean(widths):.3f}, mean absolute error {np.mean(errors):.3f}")
    print(f"  outside the 95 % interval: {', '.join(missed) or 'none'}; refused: {', '.join(refused) or 'none'}")


def line(rows: list[Row]) -> str:
    """Ordinary least squares, for comparison with the published figures."""
    x = np.array([row["gap"]["value"] for row in rows])
    y = np.array([row["improvement"]["value"] for row in rows])
    slope, intercept = np.polyfit(x, y, 1)
    return f"n {len(rows)}, slope {slope:.3f}, intercept {intercept:+.3f}, R2 {np.corrcoef(x, y)[0, 1] ** 2:.3f}"


def assumed(rows: list[Row], part: str) -> str:
    """What is assumed of means with problems x rollouts, over the standard error that was measured with all counts."""
    ratios = [
        assumed_components(row["baseline"], row[part]["value"]).variance(row["problems"], row["rollouts"]) ** 0.5
        / row[part]["se"]
        for row in rows
    ]
    low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
    return f"{part}: median {middle:.2f}, middle 80 % {low:.2f} to {high:.2f}"


def main() -> None:
    """Print the table."""
    rows = json.loads(files("service.observations").joinpath("lab_pool.json").read_text())
    law = fit(rows)
    found = law.coefficients(rows[0]["family"], rows[0]["cell"])
    print("ordinary least squares:", line(rows))
    for model in sorted({row["model"] for row in rows}):
        print(f"  {model}:", line([row for row in rows if row["model"] == model]))
    wrong = [row for row in rows if (row["context"]["options"].get("corruption") or {}).get("rate", 0) > 0]
    print("  without the half-wrong contexts:", line([row for row in rows if row not in wrong]))
    for name, (mean, lower, upper) in (("slope", found.slope), ("intercept", found.intercept)):
        print(f"the law's {name}: {mean:.3f} (95 % confidence {lower:.3f} to {upper:.3f})")
    print("assumed over measured standard error:")
    for part in ("gap", "improvement"):
        print(f"  {assumed(rows, part)}")
    print("each context left out:")
    left_out(rows, context_of)
    print("each context left out, the half-wrong contexts nowhere:")
    left_out([row for row in rows if row not in wrong], context_of)


if __name__ == "__main__":
    main()
