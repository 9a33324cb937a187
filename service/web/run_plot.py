"""The plots of one training run as Vega-Lite specifications: accuracy by step in per cent, and below it the loss."""

from collections.abc import Sequence
from functools import cache, lru_cache

import altair as alt

from gapcast import words
from service.web.plots import POINTS, PlotRow, Rows, Spec, drawn, named_data
from service.web.points import RunCurve

STEP_TITLE = "Optimizer step"
ACCURACY_TITLE = "Accuracy (%)"
LOSS_TITLE = "Loss (nats/token)"
AXIS_WIDTH = 38
"""pixels for the labels of both y axes: the same, so that the steps of the two plots stand below each other"""

BAND = 10
"""pixels that are left beside the first and the last step: half the band of the prediction, and a little"""


def accuracy_chart(curve: RunCurve) -> Spec | None:
    """Return the specification of accuracy by step; null before the baseline is measured.

    The predicted intervals of the improvement stand on the baseline, at the step that they speak of: the last one.
    """
    if curve.baseline is None or curve.self_teacher is None:
        return None
    ends, looks = (0, curve.steps), _look_rows(curve)
    rows: Rows = {
        "baseline": [{"step": step, "accuracy": POINTS * curve.baseline} for step in ends],
        "self_teacher": [{"step": step, "accuracy": POINTS * curve.self_teacher} for step in ends],
        "student": [{"step": 0, "accuracy": POINTS * curve.baseline}, *looks],
        "looks": looks,
        "held_out": _held_out_rows(curve),
        "fan": _fan_rows(curve, curve.baseline),
        "predicted": _predicted_rows(curve, curve.baseline),
    }
    levels = tuple(level for level, _, _ in _widest_first(curve)) if curve.predicted is not None else ()
    made = _accuracy(bool(rows["held_out"]), levels, len(curve.fan) if rows["fan"] else 0)
    return drawn(made, _describe(curve, curve.baseline, curve.self_teacher), rows)


def loss_chart(curve: RunCurve) -> Spec | None:
    """Return the specification of the loss by step; null where no step had one."""
    known = [{"step": step, "loss": loss, "loss_text": f"{loss:.3g} nats per token"} for step, loss in curve.losses]
    if not known:
        return None
    first, last = known[0], known[-1]
    said = (
        f"Loss in nats per token by step: {first['loss']:.3g} at step {first['step']}, {last['loss']:.3g} at step "
        f"{last['step']}."
    )
    return drawn(_loss(), said, {"frame": [{"step": step, "loss": 0} for step in (0, curve.steps)], "losses": known})


def _look_rows(curve: RunCurve) -> list[PlotRow]:
    """The evaluations with the standard error of the improvement: the baseline is what they are compared with."""
    rows = []
    for one in curve.looks:
        accuracy, se = POINTS * one.accuracy, POINTS * one.improvement_se
        rows.append(
            {
                "step": one.step,
                "accuracy": accuracy,
                "lower": accuracy - se,
                "upper": accuracy + se,
                "text": words.percent(one.accuracy),
                "improvement_text": f"{POINTS * one.improvement:+.1f} ± {se:.1f} {words.POINTS}",
            }
        )
    return rows


def _held_out_rows(curve: RunCurve) -> list[PlotRow]:
    """Accuracy on the held-out problems: none while the run has only told how it changes."""
    if curve.held_out_baseline is None:
        return []
    gains = [(0, 0.0), *((one.step, one.held_out) for one in curve.looks if one.held_out is not None)]
    shares = [(step, curve.held_out_baseline + gain) for step, gain in gains]
    return [{"step": step, "accuracy": POINTS * share, "text": words.percent(share)} for step, share in shares]


def _predicted_rows(curve: RunCurve, baseline: float) -> list[PlotRow]:
    if curve.predicted is None:
        return []
    row: PlotRow = {"step": curve.steps, "accuracy": POINTS * (baseline + curve.predicted)}
    row["text"] = f"{POINTS * curve.predicted:+.1f} {words.POINTS}"
    for index, (_, lower, upper) in enumerate(_widest_first(curve)):
        row |= {f"lower_{index}": POINTS * (baseline + lower), f"upper_{index}": POINTS * (baseline + upper)}
        row[f"interval_{index}"] = f"{POINTS * lower:+.1f} to {POINTS * upper:+.1f} {words.POINTS}"
    return [row]


def _fan_rows(curve: RunCurve, baseline: float) -> list[PlotRow]:
    """From the newest look, where the accuracy is known, to the last step; the forecast speaks of these ends alone."""
    if not curve.looks or not curve.fan or curve.looks[-1].step >= curve.steps:
        return []
    newest = curve.looks[-1]
    now: PlotRow = {"step": newest.step}
    end: PlotRow = {"step": curve.steps}
    for index, (_, lower, upper) in enumerate(sorted(curve.fan, reverse=True)):
        now |= {f"lower_{index}": POINTS * newest.accuracy, f"upper_{index}": POINTS * newest.accuracy}
        end |= {f"lower_{index}": POINTS * (baseline + lower), f"upper_{index}": POINTS * (baseline + upper)}
    return [now, end]


def _widest_first(curve: RunCurve) -> list[tuple[float, float, float]]:
    return sorted(curve.intervals, reverse=True)


@lru_cache(maxsize=64)
def _accuracy(has_held_out: bool, levels: tuple[float, ...], fan: int) -> Spec:
    """Make the specification without its rows, once for each shape.

    `levels` are those of the predicted intervals, the widest first; `fan` is how many the forecast has.
    """
    before = (("baseline", "baseline"), ("self_teacher", "self-teacher"))
    layers = [
        named_data(name).mark_line(style=style, aria=False).encode(x=_step(), y=_share()) for name, style in before
    ]
    bands = named_data("fan").encode(x=_step())
    for index in range(fan):
        layers.append(bands.mark_area(style="fan", aria=False).encode(y=_share(f"lower_{index}"), y2=f"upper_{index}"))
    looks = named_data("looks").encode(x=_step())
    layers.append(looks.mark_rule(style="look-error", aria=False).encode(y=_share("lower"), y2="upper"))
    layers += _forecast(levels)  # over the bars: it has a tooltip
    if has_held_out:
        held_out = named_data("held_out").encode(x=_step(), y=_share())
        layers.append(held_out.mark_line(style="held-out", aria=False))
        tooltip = [alt.Tooltip("step:Q", title="Step"), alt.Tooltip("text:N", title="Held out")]
        layers.append(held_out.mark_point(style="held-out-look").properties(name="held_out").encode(tooltip=tooltip))
    tooltip = [
        alt.Tooltip("step:Q", title="Step"),
        alt.Tooltip("text:N", title="Accuracy"),
        alt.Tooltip("improvement_text:N", title="Improvement"),
    ]
    layers += [
        named_data("student").mark_line(style="student", aria=False).encode(x=_step(), y=_share()),
        looks.mark_point(style="look").properties(name="looks").encode(y=_share(), tooltip=tooltip),
    ]
    return _layered(layers)


def _forecast(levels: Sequence[float]) -> list[alt.Chart]:
    """The predicted intervals over each other: where they overlap the band is darker."""
    if not levels:
        return []
    base = named_data("predicted").encode(x=_step())
    names = [f"interval_{index}" for index in range(len(levels))]
    spoken = [
        alt.Tooltip(n, type="nominal", title=f"{words.level(level)} interval")
        for n, level in zip(names, levels, strict=True)
    ]
    tooltip = [alt.Tooltip("text:N", title="Predicted"), *spoken]
    layers = []
    for index in range(len(levels)):
        band = base.mark_rule(style="forecast", aria=False).properties(name=f"forecast_{index}")
        layers.append(band.encode(y=_share(f"lower_{index}"), y2=f"upper_{index}", tooltip=tooltip))
    middle = base.mark_tick(style="forecast-mean").properties(name="predicted")
    return [*layers, middle.encode(y=_share(), tooltip=tooltip)]


@cache
def _loss() -> Spec:
    frame = named_data("frame").mark_line(style="zero", aria=False).encode(x=_step(), y=_nats())
    tooltip = [alt.Tooltip("step:Q", title="Step"), alt.Tooltip("loss_text:N", title="Loss")]
    losses = named_data("losses").encode(x=_step(), y=_nats())
    line = losses.mark_line(style="loss", aria=False)
    points = losses.mark_point(style="loss-step").properties(name="losses").encode(tooltip=tooltip)
    return _layered([frame, line, points])


def _layered(layers: list[alt.Chart]) -> Spec:
    made: Spec = alt.layer(*layers).properties(width="container", height="container").to_dict()
    return made


def _step() -> alt.X:
    axis = alt.Axis(format=",d", tickMinStep=1)
    return alt.X("step", type="quantitative", title=STEP_TITLE, axis=axis, scale=alt.Scale(nice=False, padding=BAND))


def _share(field: str = "accuracy") -> alt.Y:
    axis = alt.Axis(minExtent=AXIS_WIDTH, tickCount=6)
    return alt.Y(field, type="quantitative", title=ACCURACY_TITLE, axis=axis, scale=alt.Scale(zero=False, nice=True))


def _nats() -> alt.Y:
    axis = alt.Axis(minExtent=AXIS_WIDTH, tickCount=3, format="~g")
    return alt.Y("loss", type="quantitative", title=LOSS_TITLE, axis=axis, scale=alt.Scale(nice=True))


def _describe(curve: RunCurve, baseline: float, self_teacher: float) -> str:
    looks = curve.looks
    last = f", the last {words.percent(looks[-1].accuracy)} at step {looks[-1].step}" if looks else ""
    parts = [
        f"Accuracy of the student by step of {curve.steps}: {len(looks)} evaluations{last}",
        f"before training {words.percent(baseline)}",
        f"the self-teacher before training {words.percent(self_teacher)}",
    ]
    if curve.predicted is not None:
        parts.append(f"predicted improvement {POINTS * curve.predicted:+.1f} {words.POINTS}")
    if curve.fan:
        level, lower, upper = min(curve.fan)
        parts.append(f"now expected with {words.level(level)} {words.between(lower, upper)} {words.POINTS}")
    return ", ".join(parts) + ". The table of evaluations has the same numbers."
