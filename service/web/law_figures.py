"""What the figures of the law page show: one version of the law, read from the store; accuracies in [0, 1]."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from gapcast import words
from gapcast.contract.fits import Coefficients, ContextEffect
from gapcast.contract.probes import Difference
from service.fits import analysis
from service.fits import service as fits
from service.fits.analysis import Whose
from service.fits.presenting import fit_out
from service.fits.service import Current
from service.forecasts import calibrating
from service.listed_models import ModelEntry
from service.observations import repository as observations
from service.predictions.calibration import calibration
from service.web.data import MOST_POINTS, outcome_points, read_version
from service.web.figures import Cell, Figure, Record
from service.web.law_plots import (
    UNUSUAL_MARKS,
    Coverage,
    Line,
    RunPoint,
    calibration_plot,
    coverage_plot,
    forest,
    pit_plot,
    runs_plot,
)
from service.web.plots import POINTS, law_chart
from service.web.summary import outcomes_message, sizes_message

LEVELS = (0.5, 0.8, 0.95)
"""of the intervals that are judged; the last is drawn"""
TOO_LARGE = f"Pools of more than {fits.AT_ONCE:,} observations are not fitted again for this page."
NO_OUTCOME = "No prediction has met its outcome in this pool yet."
NO_RUNS = "No observations yet."


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The version of the law that is looked at, and whose line is wanted."""

    session: Session
    current: Current
    wanted: Whose | None
    entries: Sequence[ModelEntry]


def _run(row: Record) -> str:
    return f"/observations/{row['id']}"


def _of(name: str) -> Callable[[Record], str]:
    return lambda row: str(row[name] if row[name] is not None else "")


def _points(name: str) -> Callable[[Record], str]:
    return lambda row: words.points(row[name])


def _pair(name: str) -> Callable[[Record], str]:
    return lambda row: words.measured(Difference(value=row[name], se=row[f"{name}_se"]))


RUN = Cell(head="Run", text=_of("name"), link=_run)
CONTEXT = Cell(head="Context", text=lambda row: words.plain(row["context_kind"]))


def scatter(asked: Asked) -> Figure:
    """Show the observations, the law's line and its two bands."""
    found = read_version(asked.session, asked.current, asked.wanted, analysis.listed_sizes(asked.entries))
    rows = [
        {
            "id": one.id,
            "name": one.name,
            "model": one.model,
            "parameters": one.parameters,
            "family": one.family,
            "recipe": one.recipe,
            "context_kind": one.context,
            "gap": one.gap,
            "gap_se": one.gap_se,
            "improvement": one.improvement,
            "improvement_se": one.improvement_se,
            "in_the_fit": one.note,
        }
        for one in found.observations
    ]
    cells = [
        *(RUN, Cell(head="Model", text=_of("model"))),
        Cell(head="Weights", text=lambda row: words.model_size(row["parameters"]) if row["parameters"] else "?"),
        *(Cell(head="Family", text=_of("family")), Cell(head="Recipe", text=_of("recipe"))),
        CONTEXT,
        Cell(head="Gap ± SE", text=_pair("gap"), number=True),
        Cell(head="Improvement ± SE", text=_pair("improvement"), number=True),
        Cell(head="In the fit", text=_of("in_the_fit")),
    ]
    return Figure(cells=cells, rows=rows, spec=law_chart(found.observations, found.curve, None))


SLOPES = [
    Cell(head="Of", text=_of("of")),
    Cell(head="Runs", text=lambda row: f"{row['n']:,}", number=True),
    Cell(head="Slope", text=lambda row: f"{row['slope']:.2f}", number=True),
    Cell(head="95 % interval", text=lambda row: f"{row['lower']:.2f} to {row['upper']:.2f}", number=True),
    Cell(head="Shape", text=lambda row: words.shape(row["linear"])),
]
SLOPE = "Points gained per point of gap"


def _slopes(rows: Sequence[Record], nothing: str, said: Sequence[str] = ()) -> Figure:
    lines = [Line(row["of"], row["n"], row["slope"], row["lower"], row["upper"]) for row in rows]
    return Figure(cells=SLOPES, rows=rows, spec=forest(lines, SLOPE, 1.0, "{:.2f}"), nothing=nothing, said=said)


def _slope(name: str, found: Coefficients) -> dict[str, Any]:
    lower, upper = found.slope_interval
    return {
        **{"of": name, "n": found.n, "slope": found.slope, "lower": lower, "upper": upper},
        **{"linear": found.links.linear, "status": found.status},
    }


def families(asked: Asked) -> Figure:
    """Show the slope of each family under each recipe."""
    found = fit_out(asked.current.fit).families
    return _slopes([_slope(f"{one.family}, {words.recipe(one)}", one) for one in found], NO_RUNS)


def sizes(asked: Asked) -> Figure:
    """Show the slope of each model size by itself."""
    fit = asked.current.fit
    if fit.n > fits.AT_ONCE:
        return _slopes([], TOO_LARGE)
    found = analysis.scale(asked.session, fit, asked.entries)
    rows = [
        {
            "of": f"{family.family}, {words.recipe(family)}: {words.model_size(one.parameters)}",
            **{"n": one.n, "slope": one.slope, "lower": one.lower, "upper": one.upper},
            "linear": family.linear_weight,
        }
        for family in found.families
        for one in family.sizes
    ]
    said = [
        f"{family.family}, {words.recipe(family)}. {message}"
        for family in found.families
        if (message := sizes_message(family)) is not None
    ]
    return _slopes(rows, "No size has three observations whose number of weights is known.", said)


def teachers(asked: Asked) -> Figure:
    """Show the slope that is expected of a new family under each recipe."""
    return _slopes([_slope(words.recipe(one), one) for one in fit_out(asked.current.fit).populations], NO_RUNS)


def tasks(asked: Asked) -> Figure:
    """Show the slope of each cell, task by task."""
    found = fit_out(asked.current.fit).cells
    named = sorted(
        (_task(one.cell, one.family), one.family, words.recipe(one), place) for place, one in enumerate(found)
    )
    rows = [_slope(", ".join(names), found[place]) for *names, place in named]
    return _slopes(rows, "No observation of the pool is of a known recipe, or there are more than 200 cells.")


def _task(cell: str, family: str) -> str:
    return cell.removeprefix(f"{family}|").rpartition("|")[0] or cell


def contexts(asked: Asked) -> Figure:
    """Show how far the runs of each context end from the line."""
    rows: list[dict[str, Any]] = [
        {
            "of": f"{words.shown_context(one.context)} ({_where(one)})",
            **{"n": one.n, "effect": one.effect, "lower": one.effect_interval[0], "upper": one.effect_interval[1]},
            **{"family": one.family, "cell": one.cell, "model": one.model},
        }
        for one in analysis.contexts(asked.current.fit).data
    ]
    rows.sort(key=lambda row: -row["effect"])
    cells = [
        *(Cell(head="Of", text=_of("of")), Cell(head="Runs", text=lambda row: f"{row['n']:,}", number=True)),
        Cell(head="Effect", text=_points("effect"), number=True),
        Cell(head="95 % interval", text=lambda row: words.between(row["lower"], row["upper"]), number=True),
    ]
    lines = [
        Line(row["of"], row["n"], POINTS * row["effect"], POINTS * row["lower"], POINTS * row["upper"]) for row in rows
    ]
    spec = forest(lines, f"Beside what the gap says ({words.POINTS})", 0.0, "{:+.1f}")
    return Figure(cells=cells, rows=rows, spec=spec, nothing="No two observations share a context.")


def _where(one: ContextEffect) -> str:
    whose = one.model or one.family
    return f"{whose}, {_task(one.cell, one.family)}" if one.cell is not None else whose


def _residual_rows(asked: Asked) -> list[dict[str, Any]]:
    rows, found = analysis.diagnosed(asked.session, asked.current.fit)
    names = observations.run_names(asked.session, asked.current.fit.tenant, [row.id for row in rows])
    return [
        {
            "id": row.id,
            "name": names[row.id].name or names[row.id].external_id or row.model,
            **{"model": row.model, "family": row.family, "context_kind": row.context_kind},
            **{"gap": row.gap, "improvement": row.improvement},
            "expected": row.improvement - float(found.residual[place]),
            "residual": float(found.residual[place]),
            "standardized": float(found.standardized[place]),
            "leverage": float(found.leverage[place]),
            "influence": float(found.influence[place]),
            "weight": float(found.weight[place]),
            "outlier": bool(found.outlier[place]),
        }
        for place, row in enumerate(rows)
    ]


def _each_run(
    asked: Asked,
    cells: Sequence[Cell],
    axes: tuple[str, str],
    marks: Sequence[float],
    place: Callable[[Record], tuple[float, float, str, str]],
) -> Figure:
    """Show the runs that lie furthest from 0 first: `place` says where in the plot each lies, and in words."""
    if asked.current.fit.n > fits.AT_ONCE:
        return Figure(cells=cells, rows=[], spec=None, nothing=TOO_LARGE)
    rows = sorted(_residual_rows(asked), key=lambda row: -abs(place(row)[1]))[:MOST_POINTS]
    points = [
        RunPoint(row["id"], row["name"], words.plain(row["context_kind"]), *place(row), row["outlier"]) for row in rows
    ]
    return Figure(cells=cells, rows=rows, spec=runs_plot(points, *axes, marks), nothing=NO_RUNS)


def residuals(asked: Asked) -> Figure:
    """Show each run against what the others say of it."""
    cells = [
        *(RUN, CONTEXT),
        *(Cell(head=head, text=_points(head.lower()), number=True) for head in ("Expected", "Improvement", "Residual")),
        Cell(head="In its SDs", text=lambda row: f"{row['standardized']:+.1f}", number=True),
        Cell(head="Weight", text=lambda row: words.weight(row["weight"]), number=True),
    ]
    axes = f"Expected of the others ({words.POINTS})", "Residual, in its standard deviations"
    return _each_run(
        *(asked, cells, axes, UNUSUAL_MARKS),
        lambda row: (
            *(POINTS * row["expected"], row["standardized"]),
            *(words.points(row["expected"]), f"{row['standardized']:+.1f}"),
        ),
    )


def influence(asked: Asked) -> Figure:
    """Show how far each run moves its family's slope."""
    cells = [
        *(RUN, Cell(head="Family", text=_of("family")), CONTEXT),
        Cell(head="Leverage", text=lambda row: words.percent(row["leverage"]), number=True),
        Cell(head="Influence", text=lambda row: f"{row['influence']:+.2f}", number=True),
    ]
    axes = "Leverage: share in its own fitted value (%)", "Moves the slope by (posterior SDs)"
    return _each_run(
        *(asked, cells, axes, (0.0,)),
        lambda row: (
            *(100 * row["leverage"], row["influence"]),
            *(words.percent(row["leverage"]), f"{row['influence']:+.2f}"),
        ),
    )


def outcomes(asked: Asked) -> Figure:
    """Show what was measured by what was predicted."""
    fit = asked.current.fit
    found = calibrating.calibration(asked.session, fit, LEVELS)
    points = outcome_points(asked.session, fit, found, LEVELS)
    rows = [asdict(point) | {"pit": one.pit} for point, one in zip(points, found.outcomes, strict=True)]
    cells = [
        Cell(
            head="Outcome came",
            text=lambda row: f"{words.when(row['at'])} UTC",
            link=lambda row: f"/predictions/{row['prediction_id']}",
        ),
        Cell(head="Predicted", text=_points("predicted"), number=True),
        Cell(head="95 % interval", text=lambda row: words.between(row["lower"], row["upper"]), number=True),
        Cell(head="Measured", text=_points("outcome"), number=True),
        Cell(head="Inside", text=lambda row: "yes" if row["inside"] else "no"),
    ]
    said = [outcomes_message(fit.pool, found)]
    said += [words.forecasts(found.forecasts)] if found.forecasts is not None else []
    return Figure(cells=cells, rows=rows[::-1], spec=calibration_plot(points), said=said)


def coverage(asked: Asked) -> Figure:
    """Show how many intervals held what came."""
    found = calibration(asked.session, asked.current.fit, LEVELS)
    rows = [one.model_dump() | {"n": found.n} for one in found.levels]
    levels = [
        Coverage(*(100 * value for value in (one.level, one.coverage, one.lower, one.upper))) for one in found.levels
    ]
    cells = [
        Cell(head="Level", text=lambda row: words.level(row["level"]), number=True),
        Cell(head="Inside", text=lambda row: words.whole_percent(row["coverage"]), number=True),
        Cell(
            head="95 % confidence",
            text=lambda row: f"{100 * row['lower']:.0f} to {words.whole_percent(row['upper'])}",
            number=True,
        ),
        Cell(head="Mean width", text=lambda row: words.plain_points(row["width"]), number=True),
    ]
    return Figure(cells=cells, rows=rows, spec=coverage_plot(levels), nothing=NO_OUTCOME)


def pit(asked: Asked) -> Figure:
    """Show how outcomes are spread over their predictive distributions."""
    counts = calibration(asked.session, asked.current.fit, LEVELS).pit_histogram
    width = 1 / len(counts)
    rows = [
        {"from": round(place * width, 3), "to": round((place + 1) * width, 3), "outcomes": n}
        for place, n in enumerate(counts)
        if sum(counts)
    ]
    cells = [
        Cell(head="Probability of less", text=lambda row: f"{row['from']:.1f} to {row['to']:.1f}"),
        Cell(head="Outcomes", text=lambda row: f"{row['outcomes']:,}", number=True),
    ]
    return Figure(cells=cells, rows=rows, spec=pit_plot(counts), nothing=NO_OUTCOME)


class Section(NamedTuple):
    """A figure's place on the page.

    Attributes:
        title: its head.
        point: a sentence on how to read it.
        read: reads it.
        wide: True where it takes a whole row.
    """

    title: str
    point: str
    read: Callable[[Asked], Figure]
    wide: bool = False


SECTIONS: Mapping[str, Section] = {
    "scatter": Section(
        "Improvement by gap",
        "Each point is a run, with one standard error each way. A click opens it.",
        scatter,
        wide=True,
    ),
    "families": Section("Slope by family", "Where 1 lies inside, a run gains as much as its gap.", families),
    "sizes": Section("Slope by model size", "Each size by itself, without what other sizes say.", sizes),
    "teachers": Section("Slope by teacher", "What a family without runs would be expected to have.", teachers),
    "tasks": Section("Slope by task", "Each cell: a family, a task and a recipe.", tasks),
    "contexts": Section(
        "Effects of contexts",
        "How much more or less the runs of a context gain than their gap says.",
        contexts,
        wide=True,
    ),
    "residuals": Section(
        "Residuals", "Each run against what the others say of it: beyond the outer lines is one run of 200.", residuals
    ),
    "influence": Section("Influence", "How far a run alone moves the slope of its family.", influence),
    "calibration": Section(
        "Predicted and measured", "On the diagonal a prediction was right. A click opens it.", outcomes
    ),
    "coverage": Section("Coverage", "On the diagonal as many intervals hold the outcome as they promise.", coverage),
    "pit": Section("PIT", "Even bars: predictions are neither too sure nor too timid.", pit),
}
"""by the name of the figure in addresses"""
