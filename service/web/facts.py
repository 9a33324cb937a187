"""What the pages show of an answered prediction and of a probe: names and texts, in the page's order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gapcast import words
from gapcast.contract.predictions import Answer, Improvement, Interval, LawUsed, PredictionOut, Support
from gapcast.contract.probes import Controls, Difference, Gap, ProbeCost, ProbeFigures, ProbeOut
from gapcast.contract.training import TrainedOn


class Fact(NamedTuple):
    """A line of a list; without a text it is not known, and not shown."""

    name: str
    text: str | None
    slot: str = ""
    link: str = ""
    label: str = ""
    """of the link, where it is not the text"""


class Verdict(NamedTuple):
    """The box at the top: a headline, a sentence, and the verdict that colours it."""

    headline: str
    text: str
    colour: str = ""


class Strip(NamedTuple):
    """A small drawing of an interval beside zero, as shares of its width in per cent; its row has the numbers."""

    lower: float
    upper: float
    value: float
    zero: float


class Row(NamedTuple):
    """An interval of the predicted improvement."""

    level: str
    lower: float
    upper: float
    strip: Strip


class Side(NamedTuple):
    """What one shape of an undecided law says alone."""

    name: str
    value: float
    rows: list[Row]


def answer_facts(prediction: PredictionOut) -> dict[str, Any]:
    """Return what a succeeded prediction shows, by the parts of its template."""
    answer = Answer.model_validate(prediction, from_attributes=True)
    improvement, probe = answer.improvement, answer.probe
    advice = words.verdict(answer.verdict, prediction.request.min_gain)
    # what a law of undecided shape says beyond the stored gaps stands beside the interval
    warnings = [one for one in answer.warnings if one.code != "link_undecided" or not improvement.branches]
    return {
        "verdict": Verdict(words.in_short(prediction), words.sentence(advice.reason), answer.verdict),
        "before": words.before(answer.support),
        "missing": [
            *([one.message for one in answer.support.missing] if answer.support is not None else []),
            *([f"{words.pilot_command(prediction.id)}."] if answer.verdict == "pilot" and probe is not None else []),
        ],
        "warnings": [words.warning(one) for one in warnings],
        "improvement": improvement,
        "intervals": _rows(improvement, improvement.intervals, improvement.value),
        "sides": [
            Side(f"If {words.side(one.link, one.weight)}", one.value, _rows(improvement, one.intervals, one.value))
            for one in improvement.branches
        ],
        "chances": [Fact(name, text, name.lower()) for name, text in words.chances(improvement, answer.support)],
        "held_out": list(_held_out(answer, prediction.request.min_gain)),
        "support": list(_support(answer.support, prediction.training)),
        "gap": answer.gap,
        "gap_facts": list(_gap(answer.gap, probe)),
        "controls": list(_controls(answer.controls, probe)),
        "probe": [] if probe is None else list(_of_answer(prediction, answer.gap, probe)),
        "law": list(_law(answer.law, prediction)),
        "cost": list(_cost(answer)),
    }


def _held_out(answer: Answer, min_gain: float) -> Iterator[Fact]:
    found = answer.held_out
    if found is None:
        return
    value = found.improvement.value
    yield Fact("Held-out problems", None if value is None else f"{words.points(value)} points predicted", "held-out")
    for one in found.improvement.intervals:
        yield Fact(
            f"{words.level(one.level)} interval", f"{words.between(one.lower, one.upper)} points", "held-out-interval"
        )
    yield Fact("Verdict on them", words.verdict(found.verdict, min_gain).name, "held-out-verdict")


def _support(support: Support | None, training: TrainedOn | None) -> Iterator[Fact]:
    """What the answer rests on, and the stored runs that are most alike."""
    if support is None:
        return
    yield Fact("Run", words.trained_on(training) if training is not None else None, "trained-on")
    yield Fact("Rests on", words.supported(support), "support")
    for run in support.nearest:
        of = f"{words.isolated(run.model)}, {words.plain(run.context_kind)}"
        text = f"{of}: gap {words.measured(run.gap)}, gained {words.gained(run)}"
        yield Fact(words.sentence(words.SAME[run.same]), text, "near", f"/observations/{run.observation_id}")


def _rows(improvement: Improvement, intervals: Sequence[Interval], value: float | None) -> list[Row]:
    if value is None:
        return []
    drawn = [improvement.intervals, *(one.intervals for one in improvement.branches)]
    ends = [end for one in drawn for interval in one for end in (interval.lower, interval.upper)]
    low, high = min(0.0, *ends), max(0.0, *ends)

    def place(share: float) -> float:
        return round(5 + 90 * (share - low) / (high - low), 2)

    return [
        Row(
            words.level(one.level),
            one.lower,
            one.upper,
            Strip(place(one.lower), place(one.upper), place(value), place(0.0)),
        )
        for one in intervals
    ]


def _gap(gap: Gap, probe: ProbeFigures | None) -> Iterator[Fact]:
    yield Fact("Net of placebo", estimate(probe.net_gap if probe is not None else None), "net-gap")
    yield Fact("Student", f"{words.percent(gap.student)} accuracy", "student")
    yield Fact("Self-teacher", f"{words.percent(gap.self_teacher)} accuracy", "self-teacher")
    size = (
        f"{words.count(gap.problems, 'problem')} \N{MULTIPLICATION SIGN} {gap.rollouts} rollouts per arm"
        if gap.problems
        else None
    )
    yield Fact("Probe", size or "measured elsewhere", "probe")


def estimate(found: Difference | None) -> str | None:
    """Write a difference with its standard error; None where it is not known."""
    return words.estimated(found) if found is not None else None


def _controls(controls: Controls, probe: ProbeFigures | None) -> Iterator[Fact]:
    yield Fact("No context (A/A)", estimate(controls.none), "control-none")
    yield Fact("Placebo", estimate(controls.placebo), "control-placebo")
    yield Fact("Shuffled feedback", estimate(controls.shuffled_feedback), "control-shuffled_feedback")
    leak = controls.leak
    if leak is not None and probe is not None and probe.contexts_missing < 1:  # else nothing was shown that could leak
        yield Fact("Copied from context", f"{words.percent(leak.copied)} of self-teacher answers", "leak-copied")
        yield Fact("Context has answer", f"{words.percent(leak.contains_answer)} of contexts", "leak-contains")


def _of_answer(prediction: PredictionOut, gap: Gap, probe: ProbeFigures) -> Iterator[Fact]:
    asked = prediction.request
    most = asked.probe.problems if asked.probe is not None else 0
    return _probe(gap, probe, most, shows_context=asked.context.kind != "none")


def probe_facts(found: ProbeOut) -> list[tuple[str, str, list[Fact]]]:
    """Return what a probe has measured as parts: a slot, a title and its facts."""
    result, of = found.result or found.partial, found.configuration
    if result is None:
        return []
    shows_context = of.context.kind != "none"
    return [
        ("gap", "Gap", list(_gap(result.gap, result))),
        ("controls", "Controls", list(_controls(result.controls, result))),
        ("probe", "What was measured", list(_probe(result.gap, result, of.problems, shows_context=shows_context))),
        ("cost", "Cost", list(_probe_cost(result))),
    ]


def _probe_cost(found: ProbeFigures) -> Iterator[Fact]:
    cost, seconds = found.cost, found.seconds
    if seconds is not None:
        hours = words.gpu_hours(cost.gpu_hours) if cost is not None else ""
        yield Fact("Probe", f"{words.duration(seconds.probe)}{hours}", "cost-probe")
    yield Fact("Rollouts", _rollouts(cost) if cost is not None else None, "cost-rollouts")


def _probe(gap: Gap, probe: ProbeFigures, most: int, *, shows_context: bool) -> Iterator[Fact]:
    """What a reader asks for second."""
    covariates = probe.covariates
    if covariates is not None:
        yield Fact("Student's headroom", f"{words.plain_points(covariates.headroom)} points", "headroom")
        yield Fact("Student's pass@k", words.pass_at_k(covariates.pass_at_k), "pass-at-k")
        spread = f"{words.plain_points(covariates.mean_sd)} points (SD, mean over problems)"
        yield Fact("Spread in a problem", spread, "spread")
        if covariates.log_ratio is not None:
            yield Fact("Log-ratio", words.log_ratio(covariates.log_ratio), "log-ratio")
    yield Fact("Cut at max tokens", words.truncated(probe.arms), "truncated")
    if shows_context:
        reasons = probe.arms["context"].contexts_missing
        yield Fact("Without a context", words.without_context(probe.contexts_missing, reasons), "missing")
    why = words.stopped(probe.stopped_by, gap.problems, most)
    yield Fact("Stopped", words.sentence(why) if why is not None else None, "stopped")
    yield Fact("Engine", _engine(probe.engine) if probe.engine else None, "engine")


def _engine(found: Mapping[str, str]) -> str:
    """Name what sampled: transformers 5.19.0, cpu, float32."""
    name = found.get("engine", "")
    parts = (f"{name} {found.get(name, '')}".strip(), found.get("device"), found.get("dtype"))
    return ", ".join(part for part in parts if part)


def _law(law: LawUsed, prediction: PredictionOut) -> Iterator[Fact]:
    recipe = prediction.request.recipe
    yield Fact("Family", law.family, "law-family")
    yield Fact("Cell", law.cell, "law-cell")
    yield Fact("Recipe", words.run_recipe(recipe.teacher, recipe.divergence), "law-recipe")
    yield Fact("Tuning", words.sentence(words.rate(recipe)), "law-rate")
    yield Fact("Status", words.law_status(law.status, law.n), "law-status")
    yield Fact("Shape", words.shape(law.links.linear), "law-links")
    none = None if law.status == "fitted" else "no claim below 3 observations"
    name, slope = _slope(law)
    yield Fact(name, none or slope, "law-slope")
    if law.of_family is not None:
        yield Fact("Whole family", none or words.summed_up(law.of_family, "95 % confidence "), "law-of-family")
    yield Fact("Intercept", none or _gain(law.intercept, law.intercept_interval), "law-intercept")
    yield Fact("Fit", law.fit_id, "law-fit", f"/law?fit={law.fit_id}")


def _slope(law: LawUsed) -> tuple[str, str]:
    """The slope, or the improvement at one gap where the slope depends on the link, and its name."""
    common = law.at_common_gap
    if law.depends_on_link and common is not None:
        return f"At gap {words.points(common.gap)}", _gain(common.improvement, common.improvement_interval)
    low, high = law.slope_interval
    per = "points per point of gap" if law.links.linear > 0.5 else "points per point of gap, at gap 0"
    return "Slope", f"{law.slope:.2f} {per} (95 % confidence {low:.2f} to {high:.2f})"


def _gain(value: float, interval: Sequence[float]) -> str:
    return f"{words.points(value)} {words.POINTS} (95 % confidence {words.between(*interval)})"


def _cost(answer: Answer) -> Iterator[Fact]:
    cost, drawn = answer.cost, answer.probe.cost if answer.probe is not None else None
    if cost.probe_seconds is not None:
        yield Fact(
            "Probe", f"{words.duration(cost.probe_seconds)}{words.gpu_hours(cost.probe_gpu_hours)}", "cost-probe"
        )
    if drawn is not None:
        yield Fact("Rollouts", _rollouts(drawn), "cost-rollouts")
    training = cost.training_seconds_estimate
    yield Fact(
        "Training, estimated", "unknown" if training is None else f"about {words.duration(training)}", "cost-training"
    )


def _rollouts(cost: ProbeCost) -> str:
    reused = f", {cost.rollouts_reused:,} reused from earlier probes" if cost.rollouts_reused else ""
    return f"{cost.rollouts_drawn:,} drawn{reused}"
