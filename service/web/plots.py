"""The plot of the law as a Vega-Lite specification: gap against improvement, the fit and one prediction.

Values come in as accuracies in [0, 1] and are drawn in accuracy points (x 100). Marks carry the names
of styles, whose look is that of `theme`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import altair as alt

from gapcast import words
from service.web.points import BranchPoint, Curve, ObservationPoint, PredictionPoint
from service.web.recipes import key_words
from service.web.theme import CONFIG

POINTS = 100.0
"""Accuracy points in an accuracy of 1."""

GAP_TITLE = f"Gap before training ({words.POINTS})"
IMPROVEMENT_TITLE = f"Improvement after training ({words.POINTS})"
SIGNED = "datum.value === 0 ? '0' : format(datum.value, '+')"
"""A Vega expression: the label of an axis tick."""
LONGEST_NOTE = 160
"""characters of a note in a tooltip: the table has the whole of it"""

SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left"]
"""of the model sizes, the smallest first"""
UNKNOWN_SIZE = "unknown"

BESIDE = {"linear": -18, "saturating": 18}
"""pixels from the prediction to what either side of an undecided law says"""
IF = {link: f"If {shape}" for link, shape in words.SHAPES.items()}

Spec = dict[str, Any]
"""A Vega-Lite specification, as altair writes it."""

PlotRow = dict[str, Any]
"""One row of a data set: the fields that the marks of a plot take."""

Rows = dict[str, list[PlotRow]]
"""The rows of each data set of a specification, by name."""


def law_chart(
    observations: Sequence[ObservationPoint], curve: Curve | None, prediction: PredictionPoint | None
) -> Spec:
    """Return the Vega-Lite specification of the scatter with the fit and the prediction on it."""
    rows: Rows = {"zero": [{"zero": 0}]}
    kinds: list[str] = []
    sizes: list[str] = []
    levels: tuple[float, ...] | None = None
    branches: tuple[tuple[str, float], ...] = ()
    if curve is not None:
        rows["curve"] = _curve_rows(curve)
    if observations:
        rows["observations"] = [_row(one, curve) for one in observations]
        rows["outliers"] = [row for row in rows["observations"] if row["mark"] == "outlier"]
        kinds = sorted({row["context"] for row in rows["observations"]})
        known = sorted({one.parameters for one in observations if one.parameters is not None})
        sizes = list(dict.fromkeys(words.model_size(one) for one in known))
        sizes += [UNKNOWN_SIZE] if any(one.parameters is None for one in observations) else []
    if prediction is not None:
        rows["prediction"] = [_prediction_row(prediction)]
        levels = () if prediction.mean is None else tuple(level for level, _, _ in _widest_first(prediction))
        rows |= {one.link: [_branch_row(one, prediction)] for one in prediction.branches}
        branches = tuple((one.link, one.level) for one in prediction.branches)
    made = _specification(curve is not None, (tuple(kinds), tuple(sizes)), levels, branches)
    return drawn(made, _describe(observations, curve, prediction), rows)


def drawn(made: Spec, description: str, rows: Mapping[str, Sequence[PlotRow]]) -> Spec:
    """Return a specification with its look, its text for those who do not see it, and its rows."""
    return {**made, "config": CONFIG, "description": description, "datasets": rows}


@lru_cache(maxsize=64)
def _specification(
    has_curve: bool,
    told_apart: tuple[tuple[str, ...], tuple[str, ...]],
    levels: tuple[float, ...] | None,
    branches: tuple[tuple[str, float], ...],
) -> Spec:
    """Make the specification without its rows, once for each shape: altair takes a quarter of a second to check it.

    `told_apart` are the context kinds and the model sizes. `levels` are those of the prediction's intervals, the widest
    first: none when it was refused, null without one. `branches` are the sides of an undecided law, each with the level
    of its interval.
    """
    layers = _zero_lines()
    if has_curve:
        layers += _fit()
    if told_apart[0]:
        layers += _scatter(*told_apart)
    for link, level in branches:
        layers += _branch(link, level)
    if levels is not None:
        layers += _prediction(levels)
    made: Spec = alt.layer(*layers).properties(width="container", height="container").to_dict()
    return made


def named_data(name: str) -> alt.Chart:
    """Return a chart of one of the named data sets."""
    return alt.Chart(alt.NamedData(name=name))


def _gap(field: str) -> alt.X:
    axis = alt.Axis(labelExpr=SIGNED)
    return alt.X(field, type="quantitative", title=GAP_TITLE, axis=axis, scale=alt.Scale(zero=False, nice=True))


def _improvement(field: str) -> alt.Y:
    axis = alt.Axis(labelExpr=SIGNED)
    return alt.Y(field, type="quantitative", title=IMPROVEMENT_TITLE, axis=axis, scale=alt.Scale(zero=False, nice=True))


def _zero_lines() -> list[alt.Chart]:
    rule = named_data("zero").mark_rule(style="zero", aria=False)
    return [rule.encode(x=_gap("zero")), rule.encode(y=_improvement("zero"))]


def _curve_rows(curve: Curve) -> list[PlotRow]:
    names = ("mean", "confidence_lower", "confidence_upper", "prediction_lower", "prediction_upper")
    columns = zip(curve.gaps, *(getattr(curve, name) for name in names), strict=True)
    return [dict(zip(("gap", *names), (POINTS * value for value in row), strict=True)) for row in columns]


def _fit() -> list[alt.Chart]:
    base = named_data("curve").encode(x=_gap("gap"))
    prediction = base.mark_area(style="prediction-band", aria=False)
    confidence = base.mark_area(style="confidence-band", aria=False)
    return [
        prediction.encode(y=_improvement("prediction_lower"), y2="prediction_upper"),
        confidence.encode(y=_improvement("confidence_lower"), y2="confidence_upper"),
        base.mark_line(style="fit", aria=False).properties(name="fit").encode(y=_improvement("mean")),
    ]


def _scatter(kinds: Sequence[str], sizes: Sequence[str]) -> list[alt.Chart]:
    base = named_data("observations")
    columns = alt.ExprRef("width < 420 ? 3 : 0")
    legend = alt.Legend(title="Context kind", columns=columns)
    shapes = alt.Scale(domain=sizes, range=[SHAPES[index % len(SHAPES)] for index in range(len(sizes))])
    stroke = alt.Stroke("context", type="nominal", legend=legend, scale=alt.Scale(domain=kinds))
    fill = alt.Fill("context", type="nominal", legend=legend, scale=alt.Scale(domain=kinds))
    faint = alt.condition("datum.focus", alt.value(0.55), alt.value(0.14))
    hollow = "datum.mark === 'excluded'"
    clear = alt.condition(f"datum.focus || {hollow}", alt.value(0.95), alt.value(0.3))
    bars = base.mark_rule(style="error-bar", aria=False).encode(stroke=stroke, opacity=faint)
    tooltip = [
        alt.Tooltip("name:N", title="Run"),
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("size:N", title="Weights"),
        alt.Tooltip("family:N", title="Family"),
        alt.Tooltip("recipe:N", title="Recipe"),
        alt.Tooltip("context:N", title="Context"),
        alt.Tooltip("gap_text:N", title="Gap"),
        alt.Tooltip("improvement_text:N", title="Improvement"),
        alt.Tooltip("note:N", title="In the fit"),
    ]
    return [
        bars.encode(x=_gap("gap_lower"), x2="gap_upper", y=_improvement("improvement")),
        bars.encode(x=_gap("gap"), y=_improvement("improvement_lower"), y2="improvement_upper"),
        named_data("outliers")
        .mark_point(style="outlier", aria=False)
        .properties(name="outliers")
        .encode(x=_gap("gap"), y=_improvement("improvement"), opacity=clear),
        base.mark_point(style="observation")
        .properties(name="observations")
        .encode(
            x=_gap("gap"),
            y=_improvement("improvement"),
            stroke=stroke,
            fill=fill,
            shape=alt.Shape("size", type="nominal", legend=alt.Legend(title="Weights", columns=columns), scale=shapes),
            href="href:N",
            opacity=clear,
            fillOpacity=alt.condition(hollow, alt.value(0), alt.value(0.7)),
            tooltip=tooltip,
        ),
    ]


def _row(one: ObservationPoint, curve: Curve | None) -> PlotRow:
    gap, gap_se, improvement, improvement_se = (
        POINTS * value for value in (one.gap, one.gap_se, one.improvement, one.improvement_se)
    )
    return {
        "gap": gap,
        "gap_lower": gap - gap_se,
        "gap_upper": gap + gap_se,
        "improvement": improvement,
        "improvement_lower": improvement - improvement_se,
        "improvement_upper": improvement + improvement_se,
        "gap_text": _measured(gap, gap_se),
        "improvement_text": _measured(improvement, improvement_se),
        "name": one.name,
        "href": f"/observations/{one.id}",
        "model": one.model,
        "size": words.model_size(one.parameters) if one.parameters is not None else UNKNOWN_SIZE,
        "context": _spoken(one.context),
        "family": one.family,
        "recipe": one.recipe,
        "note": one.note if len(one.note) <= LONGEST_NOTE else f"{one.note[: LONGEST_NOTE - 1]}…",
        "mark": one.mark,
        "focus": not one.excluded and (curve is None or one.law == curve.law),
    }


def _widest_first(prediction: PredictionPoint) -> list[tuple[float, float, float]]:
    return sorted(prediction.intervals, reverse=True)


def _prediction_row(prediction: PredictionPoint) -> PlotRow:
    gap, gap_se = POINTS * prediction.gap, POINTS * prediction.gap_se
    row: PlotRow = {"gap": gap, "gap_lower": gap - gap_se, "gap_upper": gap + gap_se}
    if prediction.mean is None:  # refused: only the gap is known
        return row
    row |= {"mean": POINTS * prediction.mean, "label": prediction.label, "gap_text": _measured(gap, gap_se)}
    row["mean_text"] = f"{row['mean']:+.1f} {words.POINTS}"
    for index, (_, lower, upper) in enumerate(_widest_first(prediction)):
        low, high = POINTS * lower, POINTS * upper
        row |= {f"lower_{index}": low, f"upper_{index}": high}
        row[f"interval_{index}"] = f"{low:+.1f} to {high:+.1f} {words.POINTS}"
    return row


def _branch_row(branch: BranchPoint, prediction: PredictionPoint) -> PlotRow:
    value, lower, upper = (POINTS * share for share in (branch.value, branch.lower, branch.upper))
    return {
        "gap": POINTS * prediction.gap,
        "value": value,
        "lower": lower,
        "upper": upper,
        "value_text": f"{value:+.1f} {words.POINTS}",
        "interval_text": f"{lower:+.1f} to {upper:+.1f} {words.POINTS}",
        "weight_text": words.weight(branch.weight),
    }


def _branch(link: str, level: float) -> list[alt.Chart]:
    """What one side says, with its interval, beside the prediction."""
    base = named_data(link).encode(x=_gap("gap"))
    tooltip = [
        alt.Tooltip("value_text:N", title=IF[link]),
        alt.Tooltip("interval_text:N", title=f"{words.level(level)} interval"),
        alt.Tooltip("weight_text:N", title="Its probability"),
    ]
    bar = base.mark_rule(style="branch-interval", xOffset=BESIDE[link], aria=False)
    mark = base.mark_point(style=f"branch-{link}", xOffset=BESIDE[link]).properties(name=link)
    return [
        bar.encode(y=_improvement("lower"), y2="upper"),
        mark.encode(y=_improvement("value"), tooltip=tooltip),
    ]


def _prediction(levels: tuple[float, ...]) -> list[alt.Chart]:
    base = named_data("prediction")
    if not levels:
        return [base.mark_rule(style="refused").encode(x=_gap("gap"))]
    tooltip = [
        alt.Tooltip("label:N", title="Prediction"),
        alt.Tooltip("gap_text:N", title="Gap"),
        alt.Tooltip("mean_text:N", title="Improvement"),
    ]
    layers = []
    for index, level in enumerate(levels):
        tooltip.append(alt.Tooltip(f"interval_{index}", type="nominal", title=f"{words.level(level)} interval"))
        bar = base.mark_rule(style="interval", strokeWidth=2 + 4 * index, aria=False)
        layers.append(bar.encode(x=_gap("gap"), y=_improvement(f"lower_{index}"), y2=f"upper_{index}"))
    across = base.mark_rule(style="interval", strokeWidth=2, aria=False)
    layers.append(across.encode(x=_gap("gap_lower"), x2="gap_upper", y=_improvement("mean")))
    diamond = base.mark_point(style="prediction").properties(name="prediction")
    layers.append(diamond.encode(x=_gap("gap"), y=_improvement("mean"), tooltip=tooltip))
    return layers


def _spoken(kind: str) -> str:
    return kind.replace("_", " ")


def _measured(value: float, se: float) -> str:
    return f"{value:+.1f} ± {se:.1f} {words.POINTS}"


def _describe(observations: Sequence[ObservationPoint], curve: Curve | None, prediction: PredictionPoint | None) -> str:
    parts = [f"Scatter of improvement against gap, in {words.POINTS}: {len(observations)} observations"]
    for mark, name in (("excluded", "excluded"), ("outlier", "ringed as outliers")):
        n = sum(one.mark == mark for one in observations)
        if n:
            parts.append(f"{n} of them {name}")
    if curve is not None:
        law = f"the law of {curve.law.family} ({key_words(curve.law.key)})"
        parts.append(f"{law} with its {words.level(curve.level)} bands")
    if prediction is not None:
        parts.append(f"the prediction {prediction.label}")
        parts += [f"{IF[one.link].lower()} {POINTS * one.value:+.1f}" for one in prediction.branches]
    return ", ".join(parts) + ". The table of observations has the same numbers."
