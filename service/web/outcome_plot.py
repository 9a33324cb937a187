"""The plot of past predictions against what came, as a Vega-Lite specification drawn in accuracy points (x 100)."""

from collections.abc import Sequence
from functools import cache

import altair as alt

from gapcast import words
from service.web.plots import POINTS, SIGNED, PlotRow, Spec, named_data
from service.web.points import OutcomePoint

PREDICTED_TITLE = f"Predicted improvement ({words.POINTS})"
MEASURED_TITLE = f"Measured improvement ({words.POINTS})"
MARGIN = 2.0
"""accuracy points that the identity line runs past the outermost prediction"""


def outcomes_chart(outcomes: Sequence[OutcomePoint]) -> Spec:
    """Return the specification: the identity line, an interval around it for each prediction, and its outcome.

    Raises:
        ValueError: there are no outcomes.
    """
    rows = [_row(one) for one in outcomes]
    predicted = [row["predicted"] for row in rows]
    missed = sum(not one.inside for one in outcomes)
    parts = {name: [row for row in rows if row["inside"] == (name == "inside")] for name in ("inside", "outside")}
    return {
        **_specification(tuple(name for name, drawn in parts.items() if drawn)),
        "description": f"Measured against predicted improvement of {len(rows)} outcomes, {missed} outside their 95 % "
        "interval. The table of outcomes has the same numbers.",
        "datasets": {
            "identity": [{"at": min(predicted) - MARGIN}, {"at": max(predicted) + MARGIN}],
            "outcomes": rows,
            **parts,
        },
    }


@cache
def _specification(parts: tuple[str, ...]) -> Spec:
    """Make the specification; a layer without marks would have nothing to read out."""
    bars = named_data("outcomes").mark_rule(style="promised", aria=False)
    line = named_data("identity").mark_line(style="identity", aria=False)
    layers = [
        bars.encode(x=_predicted("predicted"), y=_measured("lower"), y2="upper"),
        line.encode(x=_predicted("at"), y=_measured("at")),
    ]
    for name in parts:
        points = named_data(name).mark_point(style=name).properties(name=name)
        layers.append(points.encode(x=_predicted("predicted"), y=_measured("outcome"), tooltip=_tooltip()))
    made: Spec = alt.layer(*layers).properties(width="container", height="container").to_dict()
    return made


def _predicted(field: str) -> alt.X:
    axis, scale = alt.Axis(labelExpr=SIGNED), alt.Scale(zero=False, nice=True)
    return alt.X(field, type="quantitative", title=PREDICTED_TITLE, axis=axis, scale=scale)


def _measured(field: str) -> alt.Y:
    axis, scale = alt.Axis(labelExpr=SIGNED), alt.Scale(zero=False, nice=True)
    return alt.Y(field, type="quantitative", title=MEASURED_TITLE, axis=axis, scale=scale)


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("predicted_text:N", title="Predicted"),
        alt.Tooltip("interval_text:N", title="95 % interval"),
        alt.Tooltip("outcome_text:N", title="Measured"),
    ]


def _row(one: OutcomePoint) -> PlotRow:
    predicted, lower, upper, outcome = (POINTS * value for value in (one.predicted, one.lower, one.upper, one.outcome))
    return {
        "predicted": predicted,
        "lower": lower,
        "upper": upper,
        "outcome": outcome,
        "inside": one.inside,
        "predicted_text": f"{predicted:+.1f} {words.POINTS}",
        "interval_text": f"{lower:+.1f} to {upper:+.1f} {words.POINTS}",
        "outcome_text": f"{outcome:+.1f} {words.POINTS}",
    }
