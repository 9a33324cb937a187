"""The page's one plot as a Vega-Lite specification: gap against improvement, the fit and one prediction.

Values come in as accuracies in [0, 1] and are drawn in accuracy points (x 100). Colours are no part of a specification:
marks carry the names of styles, which the page's style sheet gives a light and a dark look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

POINTS = 100.0
"""Accuracy points in an accuracy of 1."""

GAP_TITLE = "Gap before training (accuracy points)"
IMPROVEMENT_TITLE = "Improvement after training (accuracy points)"
SIGNED = "datum.value === 0 ? '0' : format(datum.value, '+')"
"""A Vega expression: the label of an axis tick."""

# Colour and shape both say the context kind, so that neither has to be told apart alone.
SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left"]


@dataclass(frozen=True, kw_only=True)
class ObservationPoint:
    """One (gap, improvement) pair with its standard errors; accuracies in [0, 1]."""

    gap: float
    gap_se: float
    improvement: float
    improvement_se: float
    model: str
    context: str
    family: str
    excluded: bool


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A family's law over a grid of gaps: equally long sequences of accuracies."""

    family: str
    gaps: Sequence[float]
    mean: Sequence[float]
    confidence_lower: Sequence[float]
    confidence_upper: Sequence[float]
    prediction_lower: Sequence[float]
    prediction_upper: Sequence[float]
    level: float


@dataclass(frozen=True, kw_only=True)
class PredictionPoint:
    """A prediction: the measured gap and, unless it was refused, the improvement with its intervals."""

    gap: float
    gap_se: float
    mean: float | None
    intervals: Sequence[tuple[float, float, float]]
    """(level, lower, upper) each; drawn thicker the narrower they are."""
    label: str


Rows = dict[str, list[dict[str, Any]]]
"""The rows of each data set of a specification, by name."""
ChartData = tuple[Sequence[ObservationPoint], Curve | None, PredictionPoint | None]


def law_chart(
    observations: Sequence[ObservationPoint], curve: Curve | None, prediction: PredictionPoint | None
) -> dict[str, Any]:
    """Return the Vega-Lite specification of the scatter with the fit and the prediction on it."""
    rows: Rows = {"zero": [{"zero": 0}]}
    layers = _zero_lines()
    if curve is not None:
        rows["curve"] = _curve_rows(curve)
        layers += _fit()
    if observations:
        rows["observations"] = [_row(one, curve) for one in observations]
        layers += _scatter(sorted({row["context"] for row in rows["observations"]}))
    if prediction is not None:
        layers += _prediction(prediction, rows)
    chart = alt.layer(*layers).properties(
        width="container", height="container", description=_describe(observations, curve, prediction)
    )
    # The rows join after altair has checked the specification: it would walk and hash each of them.
    return {**chart.to_dict(), "datasets": rows}


def _chart(name: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(name=name))


def _gap(field: str) -> alt.X:
    axis = alt.Axis(labelExpr=SIGNED)
    return alt.X(field, type="quantitative", title=GAP_TITLE, axis=axis, scale=alt.Scale(zero=False, nice=True))


def _improvement(field: str) -> alt.Y:
    axis = alt.Axis(labelExpr=SIGNED)
    return alt.Y(field, type="quantitative", title=IMPROVEMENT_TITLE, axis=axis, scale=alt.Scale(zero=False, nice=True))


def _zero_lines() -> list[alt.Chart]:
    rule = _chart("zero").mark_rule(style="zero", aria=False)
    return [rule.encode(x=_gap("zero")), rule.encode(y=_improvement("zero"))]


def _curve_rows(curve: Curve) -> list[dict[str, Any]]:
    names = ("mean", "confidence_lower", "confidence_upper", "prediction_lower", "prediction_upper")
    columns = zip(curve.gaps, *(getattr(curve, name) for name in names), strict=True)
    return [dict(zip(("gap", *names), (POINTS * value for value in row), strict=True)) for row in columns]


def _fit() -> list[alt.Chart]:
    base = _chart("curve").encode(x=_gap("gap"))
    prediction = base.mark_area(style="prediction-band", aria=False)
    confidence = base.mark_area(style="confidence-band", aria=False)
    return [
        prediction.encode(y=_improvement("prediction_lower"), y2="prediction_upper"),
        confidence.encode(y=_improvement("confidence_lower"), y2="confidence_upper"),
        base.mark_line(style="fit", aria=False).encode(y=_improvement("mean")),
    ]


def _scatter(kinds: list[str]) -> list[alt.Chart]:
    base = _chart("observations")
    legend = alt.Legend(title="Context kind", columns=alt.ExprRef("width < 420 ? 3 : 0"))
    shapes = alt.Scale(domain=kinds, range=[SHAPES[index % len(SHAPES)] for index in range(len(kinds))])
    stroke = alt.Stroke("context", type="nominal", legend=legend, scale=alt.Scale(domain=kinds))
    fill = alt.Fill("context", type="nominal", legend=legend, scale=alt.Scale(domain=kinds))
    faint = alt.condition("datum.focus", alt.value(0.55), alt.value(0.14))
    clear = alt.condition("datum.focus || datum.excluded", alt.value(0.95), alt.value(0.3))
    bars = base.mark_rule(style="error-bar", aria=False).encode(stroke=stroke, opacity=faint)
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("family:N", title="Family"),
        alt.Tooltip("context:N", title="Context"),
        alt.Tooltip("gap_text:N", title="Gap"),
        alt.Tooltip("improvement_text:N", title="Improvement"),
        alt.Tooltip("note:N", title="In the fit"),
    ]
    return [
        bars.encode(x=_gap("gap_lower"), x2="gap_upper", y=_improvement("improvement")),
        bars.encode(x=_gap("gap"), y=_improvement("improvement_lower"), y2="improvement_upper"),
        base.mark_point(style="observation").encode(
            x=_gap("gap"),
            y=_improvement("improvement"),
            stroke=stroke,
            fill=fill,
            shape=alt.Shape("context", type="nominal", legend=legend, scale=shapes),
            opacity=clear,
            fillOpacity=alt.condition("datum.excluded", alt.value(0), alt.value(0.7)),
            tooltip=tooltip,
        ),
    ]


def _row(one: ObservationPoint, curve: Curve | None) -> dict[str, Any]:
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
        "model": one.model,
        "context": _spoken(one.context),
        "family": one.family,
        "note": "no, excluded" if one.excluded else "yes",
        "excluded": one.excluded,
        "focus": not one.excluded and (curve is None or one.family == curve.family),
    }


def _prediction(prediction: PredictionPoint, rows: Rows) -> list[alt.Chart]:
    gap, gap_se = POINTS * prediction.gap, POINTS * prediction.gap_se
    here: dict[str, Any] = {"gap": gap, "gap_lower": gap - gap_se, "gap_upper": gap + gap_se}
    rows["prediction"] = [here]
    base = _chart("prediction")
    if prediction.mean is None:  # refused: only the gap is known
        return [base.mark_rule(style="refused").encode(x=_gap("gap"))]
    here |= {"mean": POINTS * prediction.mean, "label": prediction.label, "gap_text": _measured(gap, gap_se)}
    here["mean_text"] = f"{POINTS * prediction.mean:+.1f} accuracy points"
    tooltip = [
        alt.Tooltip("label:N", title="Prediction"),
        alt.Tooltip("gap_text:N", title="Gap"),
        alt.Tooltip("mean_text:N", title="Improvement"),
    ]
    layers = []
    for index, (level, lower, upper) in enumerate(sorted(prediction.intervals, reverse=True)):  # the widest first
        low, high, text = f"lower_{index}", f"upper_{index}", f"interval_{index}"
        here |= {low: POINTS * lower, high: POINTS * upper}
        here[text] = f"{here[low]:+.1f} to {here[high]:+.1f} accuracy points"
        tooltip.append(alt.Tooltip(text, type="nominal", title=f"{level:.0%} interval"))
        bar = base.mark_rule(style="interval", strokeWidth=2 + 4 * index, aria=False)
        layers.append(bar.encode(x=_gap("gap"), y=_improvement(low), y2=high))
    across = base.mark_rule(style="interval", strokeWidth=2, aria=False)
    layers.append(across.encode(x=_gap("gap_lower"), x2="gap_upper", y=_improvement("mean")))
    layers.append(base.mark_point(style="prediction").encode(x=_gap("gap"), y=_improvement("mean"), tooltip=tooltip))
    return layers


def _spoken(kind: str) -> str:
    return kind.replace("_", " ")


def _measured(value: float, se: float) -> str:
    return f"{value:+.1f} ± {se:.1f} accuracy points"


def _describe(observations: Sequence[ObservationPoint], curve: Curve | None, prediction: PredictionPoint | None) -> str:
    parts = [f"Scatter of improvement against gap, in accuracy points: {len(observations)} observations"]
    if curve is not None:
        parts.append(f"the law of family {curve.family} with its {curve.level:.0%} bands")
    if prediction is not None:
        parts.append(f"the prediction {prediction.label}")
    return ", ".join(parts) + ". The table of observations has the same numbers."
