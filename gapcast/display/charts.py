"""Charts of the law, in accuracy points; altair is loaded when one is drawn.

The page's plot (`service/web/plots.py`) has observations and a prediction on it, and takes its colours from a style
sheet; a notebook has the answers of the API alone.
"""

from typing import TYPE_CHECKING, Any

from gapcast import recommendation_words, words
from gapcast.contract.comparisons import COMPARED_AT, ComparisonOut
from gapcast.contract.fits import Curve, FitOut
from gapcast.contract.recommendations import RecommendationOut

if TYPE_CHECKING:
    import altair

POINTS = 100.0
"""accuracy points in an accuracy of 1"""
WIDTH, HEIGHT = 480, 300
"""pixels, which fit beside a notebook's margins"""
BEST, OPEN, OUT = "best", "in question", "eliminated"
"""how a configuration of a comparison stands"""


def curve_chart(curve: Curve) -> "altair.LayerChart":
    """Draw a family's curve with its confidence band and the prediction band around it.

    Raises:
        ImportError: altair is not installed.
    """
    alt = load_altair()
    names = ("gap", "mean", "confidence_lower", "confidence_upper", "prediction_lower", "prediction_upper")
    columns = zip(*(getattr(curve, name) for name in names), strict=True)
    rows = [dict(zip(names, (POINTS * value for value in row), strict=True)) for row in columns]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("gap:Q", title="Gap before training (accuracy points)", scale=alt.Scale(nice=False))
    )

    def band(name: str, opacity: float) -> Any:  # noqa: ANN401
        return base.mark_area(opacity=opacity).encode(y=_improvement(alt, f"{name}_lower"), y2=f"{name}_upper:Q")

    line = base.mark_line().encode(y=_improvement(alt, "mean"))
    title = f"{curve.family}: {words.recipe(curve)}, with {words.level(curve.level)} bands"
    layers = alt.layer(band("prediction", 0.15), band("confidence", 0.3), line)
    drawn: altair.LayerChart = layers.properties(title=title, width=WIDTH, height=HEIGHT)
    return drawn


def fit_chart(fit: FitOut) -> "altair.LayerChart":
    """Draw the improvement of each family and recipe at one gap, with its 95 % confidence interval.

    The slope at gap 0 is not drawn: it cannot be compared where the shape of the law is undecided.

    Raises:
        ImportError: altair is not installed.
    """
    alt = load_altair()
    rows = [
        {
            "law": f"{law.family}, {words.recipe(law)}",
            "runs": law.n,
            "improvement": POINTS * law.at_common_gap.improvement,
            "lower": POINTS * law.at_common_gap.improvement_interval[0],
            "upper": POINTS * law.at_common_gap.improvement_interval[1],
        }
        for law in fit.families
    ]
    gaps = sorted({law.at_common_gap.gap for law in fit.families})
    at = " or ".join(f"{POINTS * gap:g}" for gap in gaps)
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("law:N", title=None, axis=alt.Axis(labelLimit=300)), tooltip=["law:N", "runs:Q", "improvement:Q"]
    )
    axis = alt.X("lower:Q", title=f"Improvement at a gap of {at} points (accuracy points, 95 % confidence)")
    interval = base.mark_rule().encode(x=axis, x2="upper:Q")
    value = base.mark_point(filled=True, size=60).encode(x="improvement:Q")
    title = f"{fit.id}: pool {fit.pool}, {words.count(fit.n, 'run')}"
    drawn: altair.LayerChart = alt.layer(interval, value).properties(title=title, width=WIDTH)
    return drawn


def comparison_chart(comparison: ComparisonOut) -> "altair.LayerChart":
    """Draw the predicted improvements of a comparison with their intervals, the best first.

    Raises:
        ImportError: altair is not installed.
    """
    alt = load_altair()
    leader = comparison.rounds[-1].leader if comparison.rounds else None
    rows = [
        {
            "configuration": one.name,
            "predicted": POINTS * one.standing.value,
            "lower": POINTS * one.standing.interval.lower,
            "upper": POINTS * one.standing.interval.upper,
            "p_best": words.probability(one.standing.p_best),
            "is": BEST if one.place == leader else OUT if one.standing.eliminated else OPEN,
        }
        for one in comparison.configurations
        if one.standing is not None and one.standing.value is not None and one.standing.interval is not None
    ]
    order = [one.name for one in comparison.configurations]
    colour = alt.Color(
        "is:N", title=None, scale=alt.Scale(domain=[BEST, OPEN, OUT], range=["#1b7f3b", "#4c78a8", "#b0b0b0"])
    )
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("configuration:N", title=None, sort=order, axis=alt.Axis(labelLimit=300)),
        color=colour,
        tooltip=["configuration:N", "predicted:Q", "lower:Q", "upper:Q", "p_best:N", "is:N"],
    )
    title = f"Predicted improvement (accuracy points, {words.level(COMPARED_AT)} intervals)"
    interval = base.mark_rule(strokeWidth=2).encode(x=alt.X("lower:Q", title=title), x2="upper:Q")
    value = base.mark_point(filled=True, size=60).encode(x="predicted:Q")
    caption = f"{comparison.id}: {words.count(comparison.spent.rollouts, 'rollout')}"
    drawn: altair.LayerChart = alt.layer(interval, value).properties(title=caption, width=WIDTH)
    return drawn


def recommendation_chart(plan: RecommendationOut) -> "altair.LayerChart":
    """Draw the expected gain of a plan beside those of simpler plans.

    Raises:
        ImportError: altair is not installed.
    """
    alt = load_altair()
    rows = [
        {
            "plan": words.sentence(name),
            "gain": POINTS * getattr(plan, field),
            "said": words.points(getattr(plan, field)),
        }
        for field, name in recommendation_words.GAINS.items()
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("plan:N", title=None, sort=[row["plan"] for row in rows], axis=alt.Axis(labelLimit=300)),
        x=alt.X("gain:Q", title="Expected gain of the best run (accuracy points)"),
    )
    bars = base.mark_bar(height={"band": 0.6})
    values = base.mark_text(align="left", dx=4).encode(text="said:N")
    caption = f"{plan.id}: {words.count(plan.request.budget.runs, 'run')}"
    drawn: altair.LayerChart = alt.layer(bars, values).properties(title=caption, width=WIDTH)
    return drawn


def load_altair() -> Any:  # noqa: ANN401
    """Return altair.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import altair
    except ImportError as error:
        raise ImportError("chart needs altair, which is not installed. Run: pip install 'gapcast[notebook]'") from error
    return altair


def _improvement(alt: Any, field: str) -> Any:  # noqa: ANN401
    return alt.Y(f"{field}:Q", title="Improvement after training (accuracy points)")
