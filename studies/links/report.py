"""What the study's runs say: which link holds where, and how runs are predicted whose context or baseline was left out.

Run `python -m studies.links.report`: it prints the tables of docs/measurements.md and draws studies/links/*.png.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import logsumexp
from scipy.stats import norm

from service.law import GapLaw, Observations, Probe, predicting
from studies.links.plan import Cell, World
from studies.links.run import FOLDER, PROBES, RUNS, stored
from studies.plot_law import BLUE, GAP, GREEN, GREY, IMPROVEMENT, ORANGE, POINTS

Row = dict[str, Any]
Array = np.ndarray

LINE, MIXTURE = ("linear",), ("linear", "tanh", "exp")
HIGHER = ("lab/addition-qwen3-s50", "lab/addition-qwen3-m50", "lab/cipher-qwen3-s")
"""The models that begin with the higher accuracy of their world."""
GROUPS: dict[str, Callable[[Row], str]] = {
    "context": lambda row: str(row["context"]),
    "baseline": lambda row: "higher" if row["model"] in HIGHER else "lower",
}


class Recipe(NamedTuple):
    """Whose law a run follows."""

    family: str
    teacher: str
    divergence: str

    def __str__(self) -> str:
        return f"{self.teacher} + {self.divergence.replace('_kl', ' KL')}"


def recipe_of(row: Row) -> Recipe:
    """The recipe and family of a run."""
    return Recipe(row["family"], row["teacher"], row["divergence"])


def world_of(row: Row) -> World:
    """Where a run ran."""
    return Cell(*(row[name] for name in Cell._fields)).world


def column(rows: Sequence[Row], name: str, part: str = "value") -> Array:
    """One estimate of every run."""
    return np.array([row[name][part] for row in rows])


def about(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the columns that runs and probes both have."""
    return {
        "gap": column(rows, "gap"),
        "gap_var": column(rows, "gap", "se") ** 2,
        "improvement_var": column(rows, "improvement", "se") ** 2,
        **{
            name: [row[name] for row in rows] for name in ("family", "cell", "teacher", "divergence", "baseline", "cov")
        },
    }


def law_of(rows: Sequence[Row], links: Sequence[str]) -> GapLaw:
    """The law of these runs."""
    collapsed, improvement = [row["collapsed"] for row in rows], column(rows, "improvement")
    return GapLaw(candidate_links=tuple(links)).fit(
        Observations(**about(rows), improvement=improvement, collapsed=collapsed)
    )


class Judged(NamedTuple):
    """One run against its prediction; accuracies are shares, the log density is that of the measured improvement."""

    row: Row
    error: float
    in_80: bool
    in_95: bool
    width: float
    log_density: float


def left_out(
    rows: Sequence[Row],
    group: Callable[[Row], str],
    links: Sequence[str],
    fit: Callable[[Sequence[Row], Sequence[str]], GapLaw] = law_of,
) -> list[Judged]:
    """Predict each run that did not collapse by the law of the runs of the other groups."""
    found = []
    for name in sorted({group(row) for row in rows}):
        asked = [row for row in rows if group(row) == name and not row["collapsed"]]
        if not asked:
            continue
        law = fit([row for row in rows if group(row) != name], links)
        mixture = predicting.mixture(law.state_, Probe(**about(asked)))
        came = column(asked, "improvement")
        (low, high), (lowest, highest) = mixture.interval(0.8), mixture.interval(0.95)
        with np.errstate(divide="ignore"):
            density = logsumexp(np.log(mixture.weight) + norm.logpdf(came[:, None], mixture.mean, mixture.sd), axis=1)
        columns = (
            *(came - mixture.centre, (low <= came) & (came <= high), (lowest <= came) & (came <= highest)),
            *(highest - lowest, density),
        )
        found += [Judged(row, *values) for row, *values in zip(asked, *columns, strict=True)]
    return found


def figures(judged: Sequence[Judged]) -> dict[str, float]:
    """Coverage, mean width and mean absolute error, and the summed log density."""
    return {
        "80 %": float(np.mean([one.in_80 for one in judged])),
        "95 %": float(np.mean([one.in_95 for one in judged])),
        "width": float(np.mean([one.width for one in judged])),
        "MAE": float(np.mean(np.abs([one.error for one in judged]))),
        "log density": float(np.sum([one.log_density for one in judged])),
    }


def print_links(rows: Sequence[Row]) -> None:
    """Which link each recipe's runs prefer, with the straight line of ordinary least squares beside it."""
    print("| family | recipe | runs | collapsed | linear | tanh | exp | improvement at gap .15 | slope, R2 of OLS |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for recipe in sorted({recipe_of(row) for row in rows}):
        ours = [row for row in rows if recipe_of(row) == recipe]
        law, asked = law_of(ours, MIXTURE), {"teacher": recipe.teacher, "divergence": recipe.divergence}
        links = law.links(recipe.family, **asked)
        at = law.coefficients(recipe.family, ours[0]["cell"], **asked).improvement
        kept = [row for row in ours if not row["collapsed"]]
        x, y = column(kept, "gap"), column(kept, "improvement")
        slope, r2 = np.polyfit(x, y, 1)[0], np.corrcoef(x, y)[0, 1] ** 2
        weights = " | ".join(f"{links[name]:.2f}" for name in MIXTURE)
        print(
            f"| {recipe.family} | {recipe} | {len(ours)} | {len(ours) - len(kept)} | {weights} "
            f"| {at.mean:+.3f} ({at.lower:+.3f} to {at.upper:+.3f}) | {slope:.2f}, {r2:.2f} |"
        )


def print_left_out(rows: Sequence[Row]) -> None:
    """Line and mixture side by side on the runs that they did not see, world by world."""
    print("| left out | family | recipe | runs | law | 80 % | 95 % | width | MAE | log density |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for family, (name, group) in product(sorted({row["family"] for row in rows}), GROUPS.items()):
        world = [row for row in rows if row["family"] == family]
        judged = {law: left_out(world, group, links) for law, links in (("line", LINE), ("mixture", MIXTURE))}
        for teacher in sorted({row["teacher"] for row in world}):
            recipes = sorted({recipe_of(row) for row in world if row["teacher"] == teacher})
            for label, some in ((teacher, recipes), *((str(recipe), [recipe]) for recipe in recipes)):
                for law, every in judged.items():
                    ours = [one for one in every if recipe_of(one.row) in some]
                    found = figures(ours)
                    shown = " | ".join(f"{found[key]:.2f}" for key in ("80 %", "95 %"))
                    shown += f" | {found['width']:.3f} | {found['MAE']:.4f} | {found['log density']:.0f}"
                    print(f"| {name} | {family} | {label} | {len(ours)} | {law} | {shown} |")


def covariates() -> dict[tuple[str, str], dict[str, float]]:
    """By model and context: what else a probe knows, each from its 256 problems x 8 rollouts."""
    found = {}
    for probe in stored(PROBES).values():
        student, context = (np.array(probe["counts"][arm]) / probe["gap"]["rollouts"] for arm in ("student", "context"))
        found[probe["model"], probe["context"]] = {
            "spread of teacher scores": float(context.std()),
            "share of problems with a gap > 0": float(np.mean(context > student)),
            "share with a gap > .3": float(np.mean(context - student > 0.3)),
            "log-ratio": probe["log_ratio"]["mean"],
            "log-ratio, share of the top tenth": probe["log_ratio"]["top_tenth"],
        }
    return found


def print_covariates(rows: Sequence[Row]) -> None:
    """What a covariate says beyond the gap, by least squares with each context left out."""
    known = covariates()
    names = list(next(iter(known.values())))
    print("| family | teacher | covariate | correlation with the law's residual | MAE: gap | gap and it | it alone |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for family, teacher in sorted({recipe_of(row)[:2] for row in rows}):
        ours = [row for row in rows if recipe_of(row)[:2] == (family, teacher)]
        judged = left_out(ours, GROUPS["context"], MIXTURE)
        kept = [one.row for one in judged]
        error = np.array([one.error for one in judged])
        gap, one = column(kept, "gap"), np.ones(len(kept))
        for name in names:
            z = np.array([known[row["model"], row["context"]][name] for row in kept])
            maes = [least_squares_error(kept, np.column_stack([one, *parts])) for parts in ([gap], [gap, z], [z])]
            shown = " | ".join(f"{mae:.4f}" for mae in maes)
            print(f"| {family} | {teacher} | {name} | {np.corrcoef(z, error)[0, 1]:+.2f} | {shown} |")


def least_squares_error(rows: Sequence[Row], design: Array) -> float:
    """Mean absolute error of improvements whose context was left out of the fit."""
    came, context = column(rows, "improvement"), np.array([row["context"] for row in rows])
    error = came.copy()
    for name in set(context):
        out = context == name
        error[out] -= design[out] @ np.linalg.lstsq(design[~out], came[~out], rcond=None)[0]
    return float(np.abs(error).mean())


COLOURS = (GREY, "#56b4e9", BLUE, "#003366", "#e69f00", ORANGE, "#882200", GREEN)
"""Of a world's contexts, in their order: hints in blue, coverage in red."""


def draw(rows: Sequence[Row], name: str) -> None:
    """Gap against improvement by recipe, with the law's curve at both baselines."""
    recipes = sorted({recipe_of(row) for row in rows})
    figure = Figure(figsize=(10, 8), layout="constrained", facecolor="white")
    law = law_of(rows, MIXTURE)
    for ax, recipe in zip(figure.subplots(2, 2, sharex=True, sharey=True).flat, recipes, strict=True):
        draw_recipe(ax, [row for row in rows if recipe_of(row) == recipe], law)
        ax.set_title(str(recipe), fontsize=10)
        ax.set_xlabel(GAP)
        ax.set_ylabel(IMPROVEMENT)
        ax.label_outer()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    figure.savefig(FOLDER / name, dpi=110, metadata={"Software": None})


def draw_recipe(ax: Axes, rows: Sequence[Row], law: GapLaw) -> None:
    """The runs of one recipe: filled at the lower baseline, hollow at the higher, crossed out where collapsed."""
    recipe, cell = recipe_of(rows[0]), rows[0]["cell"]
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    for context, colour in zip(world_of(rows[0]).contexts, COLOURS, strict=True):
        for higher in (False, True):
            ours = [row for row in rows if row["context"] == context and (row["model"] in HIGHER) is higher]
            kept = [row for row in ours if not row["collapsed"]]
            lost = [row for row in ours if row["collapsed"]]
            face = "white" if higher else colour
            x, y = (POINTS * column(kept, axis) for axis in ("gap", "improvement"))
            ax.plot(x, y, "o", ms=4.5, mec=colour, mfc=face, label=None if higher else context)
            x, y = (POINTS * column(lost, axis) for axis in ("gap", "improvement"))
            ax.plot(x, y, "x", ms=4.5, color=colour)
    grid = np.linspace(-0.05, float(column(rows, "gap").max()) + 0.02, 60)
    for higher, dashes in ((False, "-"), (True, "--")):
        baseline = float(np.median([row["baseline"] for row in rows if (row["model"] in HIGHER) is higher]))
        curve = law.curve(
            recipe.family, grid, cell, teacher=recipe.teacher, divergence=recipe.divergence, baseline=baseline
        )
        label = f"the law at the {'higher' if higher else 'lower'} baseline"
        ax.plot(POINTS * grid, POINTS * curve.mean, dashes, color="black", lw=1.2, label=label)
    ax.axhline(0, color="#aaaaaa", lw=0.8)


def main() -> None:
    """Print and draw."""
    rows = list(stored(RUNS).values())
    for part in (print_links, print_left_out, print_covariates):
        part(rows)
        print()
    for family in sorted({row["family"] for row in rows}):
        draw([row for row in rows if row["family"] == family], f"{family}.png")


if __name__ == "__main__":
    main()
