"""The plots of a version of the law beside its scatter, as Vega-Lite specifications; pure.

Accuracies come in as shares and are drawn in accuracy points (x 100). Marks carry the names of styles, as in `plots`.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from math import ceil, floor
from typing import NamedTuple

import altair as alt

from gapcast import words
from service.law.diagnostics import UNUSUAL
from service.web.plots import LONGEST_NOTE, POINTS, SIGNED, PlotRow, Spec, drawn, named_data
from service.web.points import OutcomePoint

STEP = 20
"""pixels of a line of a forest"""
MOST_LINES = 60
"""of a forest: the table has all of them"""
SIDE = 300
"""pixels of a plot whose axes are equal; it fits a phone"""


class Line(NamedTuple):
    """A line of a forest: an estimate and its interval, as they are drawn."""

    label: str
    n: int
    value: float
    lower: float
    upper: float


def forest(lines: Sequence[Line], title: str, reference: float, number: str) -> Spec | None:
    """Draw estimates below each other, the first at the top, beside the value that would say nothing.

    Args:
        lines: from the top; the first 60 are drawn.
        title: of the axis.
        reference: the value that the dashed line stands at.
        number: how a number is written in a tooltip, a format such as `{:.2f}`.
    """
    if not lines:
        return None
    shown = lines[:MOST_LINES]
    labels = _unique([one.label for one in shown])
    rows: list[PlotRow] = [
        {
            **one._asdict(),
            "label": label,
            "value_text": number.format(one.value),
            "interval_text": f"{number.format(one.lower)} to {number.format(one.upper)}",
        }
        for one, label in zip(shown, labels, strict=True)
    ]
    said = f"{title}: {len(rows)} estimates with their 95 % intervals. The table has the same numbers."
    made = _forest(tuple(labels), title) | {"height": STEP * len(rows)}
    return drawn(made, said, {"lines": rows, "reference": [{"value": reference}]})


@lru_cache(maxsize=32)
def _forest(labels: tuple[str, ...], title: str) -> Spec:
    y = alt.Y(
        "label",
        type="nominal",
        title=None,
        scale=alt.Scale(domain=labels),
        axis=alt.Axis(labelLimit=alt.ExprRef("min(260, 0.4 * containerSize()[0])"), grid=False),
    )
    tooltip = [
        alt.Tooltip("label:N", title="Of"),
        alt.Tooltip("value_text:N", title="Estimate"),
        alt.Tooltip("interval_text:N", title="95 % interval"),
        alt.Tooltip("n:Q", title="Runs"),
    ]
    lines = named_data("lines")
    layers = alt.layer(
        named_data("reference").mark_rule(style="zero", aria=False).encode(x=_x("value", title)),
        lines.mark_rule(style="forest-interval", aria=False).encode(x=_x("lower", title), x2="upper", y=y),
        lines.mark_point(style="forest").properties(name="lines").encode(x=_x("value", title), y=y, tooltip=tooltip),
    )
    made: Spec = layers.properties(width="container").to_dict()
    return made


def _x(field: str, title: str) -> alt.X:
    return alt.X(field, type="quantitative", title=title, scale=alt.Scale(zero=False, nice=True))


def _unique(labels: Sequence[str]) -> list[str]:
    """Shorten labels, and tell those apart that are the same then: a line is found by its label."""
    short = [one if len(one) <= LONGEST_NOTE else f"{one[: LONGEST_NOTE - 1]}…" for one in labels]
    seen: dict[str, int] = {}
    made = []
    for label in short:
        seen[label] = seen.get(label, 0) + 1
        made.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return made


class RunPoint(NamedTuple):
    """A run in a plot of residuals or of influence."""

    observation_id: str
    name: str
    context: str
    x: float
    y: float
    x_text: str
    y_text: str
    outlier: bool


def runs_plot(points: Sequence[RunPoint], x: str, y: str, marks: Sequence[float]) -> Spec | None:
    """Draw runs by two of their numbers.

    Args:
        points: the runs.
        x: title of that axis.
        y: title of that axis.
        marks: values of y that a line stands at.
    """
    if not points:
        return None
    rows: list[PlotRow] = [one._asdict() | {"href": f"/observations/{one.observation_id}"} for one in points]
    kinds = tuple(sorted({one.context for one in points}))
    outliers = [row for row in rows if row["outlier"]]
    said = (
        f"{y} by {x} of {len(rows)} runs, {len(outliers)} of them ringed as outliers. The table has the same numbers."
    )
    shown = {"runs": rows, "outliers": outliers, "marks": [{"y": mark} for mark in marks]}
    return drawn(_runs_plot(kinds, x, y), said, shown)


@lru_cache(maxsize=32)
def _runs_plot(kinds: tuple[str, ...], x: str, y: str) -> Spec:
    across = alt.X("x", type="quantitative", title=x, scale=alt.Scale(zero=False, nice=True))
    up = alt.Y("y", type="quantitative", title=y, scale=alt.Scale(zero=True, nice=True))
    legend = alt.Legend(title="Context kind", columns=alt.ExprRef("width < 420 ? 3 : 0"))
    scale = alt.Scale(domain=kinds)
    tooltip = [
        alt.Tooltip("name:N", title="Run"),
        alt.Tooltip("context:N", title="Context"),
        alt.Tooltip("x_text:N", title=x),
        alt.Tooltip("y_text:N", title=y),
    ]
    runs = named_data("runs").mark_point(style="observation", fillOpacity=0.7).properties(name="runs")
    ring = named_data("outliers").mark_point(style="outlier", aria=False)
    layers = alt.layer(
        named_data("marks").mark_rule(style="zero", aria=False).encode(y=up),
        ring.encode(x=across, y=up),
        runs.encode(
            x=across,
            y=up,
            stroke=alt.Stroke("context", type="nominal", legend=legend, scale=scale),
            fill=alt.Fill("context", type="nominal", legend=legend, scale=scale),
            tooltip=tooltip,
            href="href:N",
        ),
    )
    made: Spec = layers.properties(width="container", height=SIDE).to_dict()
    return made


UNUSUAL_MARKS = (-UNUSUAL, 0.0, UNUSUAL)
"""standardized residuals beyond which a run is unusual, and the law itself"""


def calibration_plot(outcomes: Sequence[OutcomePoint]) -> Spec | None:
    """Draw outcomes by their predictions, with both axes equal, so that the diagonal is what a perfect one says."""
    if not outcomes:
        return None
    ends = [POINTS * value for one in outcomes for value in (one.predicted, one.lower, one.upper, one.outcome)]
    domain = (5.0 * floor(min(ends) / 5 - 0.2), 5.0 * ceil(max(ends) / 5 + 0.2))
    rows: list[PlotRow] = [
        {
            **{name: POINTS * getattr(one, name) for name in ("predicted", "lower", "upper", "outcome")},
            "predicted_text": f"{words.points(one.predicted)} {words.POINTS}",
            "interval_text": f"{words.between(one.lower, one.upper)} {words.POINTS}",
            "outcome_text": f"{words.points(one.outcome)} {words.POINTS}",
            "href": f"/predictions/{one.prediction_id}",
            "inside": one.inside,
        }
        for one in outcomes
    ]
    parts = {name: [row for row in rows if row["inside"] == (name == "inside")] for name in ("inside", "outside")}
    made = _calibration(domain, tuple(name for name, some in parts.items() if some))
    said = (
        f"Measured by predicted improvement of {len(rows)} outcomes, {len(parts['outside'])} of them outside their "
        "95 % interval. The table has the same numbers."
    )
    return drawn(made, said, {"outcomes": rows, "identity": [{"at": end} for end in domain], **parts})


@lru_cache(maxsize=8)
def _calibration(domain: tuple[float, float], parts: tuple[str, ...]) -> Spec:
    """Make the specification; a layer without marks would have nothing to read out."""
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    axis = alt.Axis(labelExpr=SIGNED)

    def x(field: str) -> alt.X:
        return alt.X(field, type="quantitative", title=f"Predicted ({words.POINTS})", scale=scale, axis=axis)

    def y(field: str) -> alt.Y:
        return alt.Y(field, type="quantitative", title=f"Measured ({words.POINTS})", scale=scale, axis=axis)

    tooltip = [
        alt.Tooltip("predicted_text:N", title="Predicted"),
        alt.Tooltip("interval_text:N", title="95 % interval"),
        alt.Tooltip("outcome_text:N", title="Measured"),
    ]
    outcomes = named_data("outcomes").mark_rule(style="promised", aria=False)
    layers = [
        outcomes.encode(x=x("predicted"), y=y("lower"), y2="upper"),
        named_data("identity").mark_line(style="identity", aria=False).encode(x=x("at"), y=y("at")),
    ]
    for name in parts:
        points = named_data(name).mark_point(style=name).properties(name=name)
        layers.append(points.encode(x=x("predicted"), y=y("outcome"), tooltip=tooltip, href="href:N"))
    made: Spec = alt.layer(*layers).properties(width=SIDE, height=SIDE).to_dict()
    return made


class Coverage(NamedTuple):
    """How many intervals of a level held what came; per cent."""

    level: float
    coverage: float
    lower: float
    upper: float


def coverage_plot(levels: Sequence[Coverage]) -> Spec | None:
    """Draw how many intervals held what came by how many should, with equal axes from 0 to 100 %."""
    if not levels:
        return None
    rows = [one._asdict() for one in levels]
    said = f"Coverage by level: {len(rows)} levels. The table has the same numbers."
    return drawn(_coverage(), said, {"levels": rows, "identity": [{"at": 0}, {"at": 100}]})


@cache
def _coverage() -> Spec:
    scale = alt.Scale(domain=(0, 100))

    def x(field: str) -> alt.X:
        return alt.X(field, type="quantitative", title="Level of the interval (%)", scale=scale)

    def y(field: str) -> alt.Y:
        return alt.Y(field, type="quantitative", title="Outcomes inside (%)", scale=scale)

    levels = named_data("levels")
    layers = alt.layer(
        named_data("identity").mark_line(style="identity", aria=False).encode(x=x("at"), y=y("at")),
        levels.mark_rule(style="forest-interval", aria=False).encode(x=x("level"), y=y("lower"), y2="upper"),
        levels.mark_point(style="forest")
        .properties(name="levels")
        .encode(x=x("level"), y=y("coverage"), tooltip=[alt.Tooltip("level:Q"), alt.Tooltip("coverage:Q")]),
    )
    made: Spec = layers.properties(width=SIDE, height=SIDE).to_dict()
    return made


def pit_plot(counts: Sequence[int]) -> Spec | None:
    """Draw how outcomes are spread over their predictive distributions, beside an even spread."""
    if not sum(counts):
        return None
    width = 1 / len(counts)
    rows: list[PlotRow] = [
        {"from": round(place * width, 3), "to": round((place + 1) * width, 3), "n": n} for place, n in enumerate(counts)
    ]
    said = f"Histogram of {sum(counts)} outcomes by the predictive probability of less. The table has the same numbers."
    return drawn(_pit(), said, {"bins": rows, "even": [{"n": sum(counts) / len(counts)}]})


@cache
def _pit() -> Spec:
    x = alt.X("from", type="quantitative", title="Predictive probability of less", bin="binned")
    y = alt.Y("n", type="quantitative", title="Outcomes", axis=alt.Axis(tickMinStep=1), scale=alt.Scale(zero=True))
    layers = alt.layer(
        named_data("bins").mark_bar(style="histogram").properties(name="bins").encode(x=x, x2="to", y=y),
        named_data("even").mark_rule(style="identity", aria=False).encode(y=y),
    )
    made: Spec = layers.properties(width=SIDE, height=SIDE).to_dict()
    return made
