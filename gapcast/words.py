"""Numbers, states and reasons in words: the command line and the page both say them with these, and with no others."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from gapcast.contract.base import Paced, Strict, Warned
from gapcast.contract.contexts import Context, CorruptibleOptions, HintsOptions, PlaceboOptions, context_of
from gapcast.contract.events import TrainingForecast
from gapcast.contract.faults import ended
from gapcast.contract.fits import Calibration, Compared, ForecastsCalibration, LinkWeights, OfRecipe, StopCalibration
from gapcast.contract.forecasts import Forecast
from gapcast.contract.needs import JobNeeds, Offer
from gapcast.contract.observations import Measured
from gapcast.contract.predictions import Improvement, LawUsed, NearRun, PredictionOut, Support
from gapcast.contract.probes import Arm, Difference, LogRatio, Progress
from gapcast.contract.recipes import Recipe, usual_for
from gapcast.contract.training import TrainedOn
from gapcast.contract.training_results import EarlyStop, RunCost, TrainingRunOut
from gapcast.contract.waiting import RunningJob, Waiting

POINTS = "accuracy points"
"""Accuracies and their differences are shares in the API, and these on a screen."""
BLOCKS = "▁▂▃▄▅▆▇█"
RULES = {"frozen": "frozen", "co_moving": "co-moving", "live": "live"}
"""of the teachers whose runs share a law"""
TEACHERS = {"frozen": "frozen", "ema": "EMA", "trust_region": "trust region", "live": "live"}
SHAPES = {"linear": "straight", "saturating": "saturating"}
"""of a law, by its link"""
DIVERGENCES = {"forward_kl": "forward KL", "reverse_kl": "reverse KL", "js": "JS"}
VERDICTS = {
    "train": ("Train", "the whole 80 % interval is above {gain}."),
    "pilot": (
        "Pilot",
        "the whole 80 % interval is above {gain}, but the reasons that are listed speak against a full run. "
        "Remove them, or train a small number of runs first.",
    ),
    "skip": ("Skip", "the whole 80 % interval is below {gain}."),
    "probe_more": ("Probe more", "the 80 % interval spans {gain}; a larger probe could decide."),
    "undecided": (
        "Undecided",
        "the 80 % interval spans {gain}, and a larger probe would not change that: more observations would.",
    ),
    "refused": ("No prediction", "the law does not reach this far. The warnings say why."),
}
LAW_STATUS = {
    "prior_only": "prior only: the pool has no observations with such a teacher",
    "cold": "cold: no observation of this family with such a teacher, other families speak for it",
    "sparse": "sparse: {n} of this family with such a teacher, no claim about its slope",
    "fitted": "fitted on {n}",
}
STATES = {
    "queued": "waiting for a worker",
    "running": "running",
    "paused": "paused",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "dead": "gave up",
}
PHASES = {
    "baseline": "measuring baseline and gap",
    "training": "training",
    "evaluation": "evaluating",
    "export": "writing the model",
}
"""What a training run does."""
ASKED = {"job.pause_requested": "pausing after this step", "job.cancel_requested": "cancelling"}
"""What a job still does while the step that it is at goes on, by the event that asked for it."""
HELD = {
    "pilot": "its pilot is over",
    "futility": "it will probably not gain enough",
    "harm": "it solves fewer problems than before training",
}
"""Why a paused run has put itself aside."""
STOPS = {
    "futility": HELD["futility"],
    "harm": HELD["harm"],
    "collapse": "half of the baseline was lost beyond noise",
}
"""Why a rule says that a run should end early."""
HAPPENED = {
    "job.started": "loading the model",
    "job.retrying": "the attempt was lost; trying again",
    "job.handed_back": "the worker stopped; waiting for another",
    "job.paused": STATES["paused"],
    "job.resumed": STATES["queued"],
    "training.resumed": "going on from its checkpoint",
}
"""What has become of a job, by the event that says so, until its next step."""
TAKES = {"probes": "probes", "training": "training runs"}
"""What the workers of a queue take."""
ARMS = {"student": "student", "none": "A/A", "context": "self-teacher"}
NO_CONTEXT = {
    "kind_is_none": "kind none has none",
    "not_covered": "left out by the coverage",
    "no_attempt": "no attempt to give feedback on",
    "no_feedback": "the verifier gave no feedback",
    "no_feedback_on_success": "the attempt was right",
    "no_success_in_group": "no other attempt of the group was right",
    "no_hints": "no hints",
    "no_reference_solution": "no reference solution",
    "no_column_text": "no text in the column",
    "no_donor": "no other problem that could lend one",
}
STOPPED = {
    "width": "after {problems} of {most} problems: the interval is as narrow as asked for",
    "most_problems": "after all {problems} problems: the interval is still wider than asked for",
}
"""Of a sequential probe alone: any other ends when its size is measured."""
LEFT_OUT = {
    "collapsed": "collapsed",
    "refused": "without a predicted number",
    "known_before": "known before their prediction",
    "without_quantiles": "predicted by an older version",
}
"""Why an outcome does not count."""
WARNINGS = {
    "extrapolation": "The gap of {gap} points is outside what was stored. Distrust the intervals until a run with "
    "such a gap is stored.",
    "refused": "An extrapolated prediction above 80 % of the headroom of {headroom} points is not made. Store "
    "runs with such a gap first.",
    "new_context": "No stored run of this cell has this context: contexts with one gap differ by {context_sd} points "
    "(standard deviation). One run with it tells more than a larger probe.",
    "none_control_off": "The A/A control is {value} ± {se} points: two samples of the same prompt differ by more than "
    "3 standard errors. Probe again with another seed, and distrust the gap if it stays.",
    "placebo_positive": "Another problem's context alone gives {value} ± {se} points: part of the gap is not "
    "information about the problem. Judge the context by the gap net of the placebo.",
    "shuffled_feedback_positive": "Another attempt's feedback alone gives {value} ± {se} points: part of the gap is "
    "not information about the problem. Compare with a context that does not show feedback.",
    "no_learning": "The gap is {gap} points, but the student did not become better beyond noise: look at the loss, "
    "the learning rate and whether the contexts are right.",
    "collapsed": "At step {step} the student has lost more than half of its baseline of {baseline}. Train again "
    "with a lower learning rate or fewer steps.",
}
"""Those that hold accuracies; of any other the API's own sentence is shown."""


def points(value: float) -> str:
    """Write a share as signed accuracy points."""
    text = f"{100 * value:+.1f}"
    return text[1:] if text in {"+0.0", "-0.0"} else text


def plain_points(value: float) -> str:
    """Write a share as accuracy points without a sign."""
    return f"{100 * value:.1f}"


def measured(estimate: Difference | Measured) -> str:
    """Write a difference and its standard error in accuracy points."""
    return f"{points(estimate.value)} ± {plain_points(estimate.se)}"


def between(lower: float, upper: float) -> str:
    """Write an interval in accuracy points."""
    return f"{points(lower)} to {points(upper)}"


def estimated(estimate: Difference | None) -> str:
    """Write a difference with its standard error and the unit."""
    return "not run" if estimate is None else f"{measured(estimate)} points (± 1 SE)"


def percent(share: float) -> str:
    """Write a share as per cent."""
    return f"{100 * share:.1f} %"


def whole_percent(share: float) -> str:
    """Write a share in whole per cent."""
    return f"{100 * share:.0f} %"


def level(share: float) -> str:
    """Write the level of an interval, which somebody has chosen: 80 %, 99.5 %."""
    return f"{100 * share:.4g} %"


def probability(share: float) -> str:
    """Write a probability as per cent; nothing that is estimated is certain."""
    if share > 0.999:
        return "> 99.9 %"
    return "< 0.1 %" if share < 0.001 else percent(share)


def weight(share: float) -> str:
    """Write the weight of one of several possibilities in whole per cent; only a lone one has all of it."""
    if 0.995 <= share < 1:
        return "> 99 %"
    return "< 1 %" if 0 < share < 0.005 else whole_percent(share)


def count(number: int, thing: str) -> str:
    """Write a number of things: `1 row`, `2,000 rows`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def listed(parts: Sequence[str]) -> str:
    """Write a list: `a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def sentence(text: str) -> str:
    """Begin a text with a capital."""
    return text[:1].upper() + text[1:]


_TURNING = frozenset({"R", "AL", "AN", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""bidirectional classes of characters that change the order in which their neighbours are shown"""
_ISOLATES = "\u2066\u2067\u2068"
_END = "\u2069"


def isolated(name: str) -> str:
    """Write a user's name within a sentence; if it turns the order of text, between marks that keep it to itself."""
    if _TURNING.isdisjoint(map(unicodedata.bidirectional, name)):
        return name
    inner = name.replace(_END, "")  # it would end our isolation before the name does
    return f"\u2068{inner}{_END * (1 + sum(map(inner.count, _ISOLATES)))}"


def plain(name: str) -> str:
    """Write an API's name as words."""
    return name.replace("_", " ")


class Verdict(NamedTuple):
    """The advice of a prediction, and why."""

    name: str
    reason: str


def verdict(code: str | None, min_gain: float) -> Verdict:
    """Name a verdict and the interval that it rests on; one from a newer server is its code alone."""
    name, reason = VERDICTS.get(code or "", (sentence(plain(str(code))), ""))
    return Verdict(name, reason.format(gain=f"{points(min_gain) if min_gain else 0} {POINTS}"))


def expected(prediction: PredictionOut) -> str | None:
    """Say in one sentence what a run would gain, and what the same run has gained before."""
    found = prediction.improvement
    if found is None or found.value is None:
        return None
    said = f"Expected gain on the training problems: {with_interval(found)}"
    held_out = prediction.held_out.improvement if prediction.held_out is not None else None
    if held_out is not None and held_out.value is not None:
        said += f"; on held-out problems: {with_interval(held_out)}"
    return f"{before(prediction.support)}{said}."


ADVICE = {"train": "Train it", "pilot": "Run a pilot first", "skip": "Skip it"}
"""What to do, where a verdict says it."""


def in_short(prediction: PredictionOut) -> str:
    """Say in one sentence what to do and what it will gain, without the unit's name: accuracy points."""
    head = ADVICE.get(prediction.verdict or "", verdict(prediction.verdict, 0).name)
    found = prediction.improvement
    if found is None or found.value is None:
        return f"{head}."
    held_out = prediction.held_out.improvement if prediction.held_out is not None else None
    said = f"{head}: {_with_ends(found)} on the training problems"
    if held_out is not None and held_out.value is not None:
        said += f"; {_with_ends(held_out)} on held-out ones"
    return f"{said}."


def _with_ends(found: Improvement) -> str:
    first = found.intervals[0]
    ends = f"{level(first.level)} between {points(first.lower)} and {points(first.upper)}"
    return f"{points(found.value or 0.0)} points ({ends})"


def trained(prediction: PredictionOut, runs: Sequence[TrainingRunOut]) -> str:
    """Say in one sentence what a prediction's ended runs gained beside what was predicted."""
    gained = listed(
        [f"seed {run.seed} {'collapsed' if run.collapsed else f'gained {_gained(run)}'}" for run in runs][:MOST_SEEDS]
    )
    more = f" ({len(runs) - MOST_SEEDS} more below)" if len(runs) > MOST_SEEDS else ""
    value = prediction.improvement.value if prediction.improvement is not None else None
    predicted = "no number was predicted" if value is None else f"{points(value)} was predicted"
    return f"{sentence(gained)}{more}; {predicted}."


def _gained(run: TrainingRunOut) -> str:
    return f"{measured(run.improvement)} points" if run.improvement is not None else "an unknown number of points"


MOST_SEEDS = 3
"""runs of a prediction that one sentence names"""


def held(inside: Sequence[bool]) -> str:
    """Say how many outcomes came inside the interval that they are judged by."""
    if not inside:
        return "These runs are judged by no interval."
    if len(inside) == 1:
        return f"It came {'inside' if inside[0] else 'outside'} its interval."
    return f"{sum(inside)} of {len(inside)} came inside their intervals."


def with_interval(found: Improvement) -> str:
    """Write a predicted improvement with the first of its intervals."""
    first = found.intervals[0]
    return f"{points(found.value or 0.0)} points ({level(first.level)} interval {between(first.lower, first.upper)})"


def before(support: Support | None) -> str:
    """Say what the same run gained with other seeds; nothing if it has not been run."""
    runs = [run for run in support.nearest if run.same == "run"] if support is not None else []
    if not runs:
        return ""
    return f"This was run before: {listed([gained(run) for run in runs])}. "


def gained(run: NearRun) -> str:
    """Say what a stored run gained, in accuracy points."""
    if run.collapsed:
        return "it collapsed"
    if run.improvement is not None:
        return f"{measured(run.improvement)} points"
    return f"{measured(run.held_out)} points on held-out problems" if run.held_out is not None else "unknown"


SAME = {
    "run": "same run",
    "configuration": "same setup",
    "context": "same context",
    "kind": "same kind",
    "gap": "near gap",
}
"""How a stored run is like the one that is asked for."""

KNOWN = {
    "configuration": "stored runs of this very configuration",
    "context": "stored runs with this context, by other models",
    "cell": "stored runs of this family, task and recipe class, with other contexts",
    "family": "stored runs of this family, of other tasks or recipe classes",
    "unlike": "no stored run of this family",
}
"""The closest that a pool has stored runs of."""


def supported(support: Support) -> str:
    """Say what an answer rests on."""
    of_length = f"; law of {_steps(support.steps)}" if support.steps is not None else ""
    return f"{KNOWN[support.known]}; {count(support.cell_runs, 'run')} of this cell{of_length}"


def _steps(steps: Sequence[int | None]) -> str:
    first, last = steps
    return f"{first} steps and more" if last is None else f"{first} to {last} steps"


def law_status(status: str, n: int) -> str:
    """Say how much a pool knows of a family."""
    return LAW_STATUS.get(status, status).format(n=count(n, "observation") if status == "fitted" else n)


def improves(p_positive: float | None) -> str:
    """Say how probable an improvement is."""
    return "unknown" if p_positive is None else f"{probability(p_positive)} probability, if it does not collapse"


def collapses(p_collapse: float, support: Support | None = None) -> str:
    """Say how probable a collapse is, and where that number is from."""
    if support is None:  # of a law, or of a prediction that an older version made
        source = "the share of runs that end far off the law"
    elif support.compared_runs:
        source = f"{support.collapsed_runs} of {count(support.compared_runs, 'run')} that trained as long collapsed"
    else:
        source = "the prior; no stored run with such a teacher and divergence trained as long"
    return f"{probability(p_collapse)} probability: {source}"


def chances(found: Improvement, support: Support | None) -> list[tuple[str, str]]:
    """Name and say each probability of a prediction, for every place that shows one.

    Another number of a prediction is shown everywhere by one more row here.
    """
    if found.value is None:
        return []
    rows = [("Collapses", collapses(found.p_collapse, support))]
    return rows if found.p_positive is None else [("Improves", improves(found.p_positive)), *rows]


def collapse(stopped_by: str | None) -> str:
    """Say what a collapse is, and whether the run ended with it."""
    ended = ", and the run ended there" if stopped_by == "collapse" else ""
    return f"{STOPS['collapse']}{ended}"


_WRITTEN = {"gap": points, "value": points, "baseline": percent, "step": "{:.0f}".format}
"""How a warning's numbers are written; any other is a share without a sign."""


def warning(warned: Warned) -> str:
    """Say a warning with its accuracies in points; the API's sentence has them as shares."""
    numbers = {name: _WRITTEN.get(name, plain_points)(value) for name, value in warned.numbers.items()}
    try:
        text = WARNINGS[warned.code].format_map(numbers)
    except KeyError:  # a code without accuracies, or a warning from before its numbers were stored
        text = warned.message
    return ended(sentence(text))


def recipe(of: OfRecipe) -> str:
    """Name the runs that a law is of: frozen, forward KL."""
    if of.divergence is None:
        return "recipe unknown"
    return f"{RULES.get(of.teacher_rule, of.teacher_rule)}, {DIVERGENCES.get(of.divergence, of.divergence)}"


def brief_recipe(teacher: str | None, divergence: str | None) -> str:
    """Name the recipe of one run under a heading: EMA, reverse KL."""
    if teacher is None or divergence is None:
        return "unknown"
    return f"{TEACHERS.get(teacher, teacher)}, {DIVERGENCES.get(divergence, divergence)}"


def run_recipe(teacher: str, divergence: str) -> str:
    """Name the recipe of one run: EMA teacher, reverse KL."""
    return f"{TEACHERS.get(teacher, teacher)} teacher, {DIVERGENCES.get(divergence, divergence)}"


def rate(recipe: Recipe) -> str:
    """Say the learning rate, and for which models it is the default."""
    sizes = usual_for(recipe)
    kind = "all weights" if recipe.lora_rank is None else "LoRA"
    return f"learning rate {recipe.rate:g} ({kind}{f', the default of {sizes}' if sizes else ''})"


def trained_on(of: TrainedOn) -> str:
    """Say what a run trains on: 128 training problems, 37.5 passes, evaluated on 64 of them."""
    passes = f"{of.passes:,.0f}" if of.passes >= 100 else f"{of.passes:.3g}"
    evaluated = "" if of.evaluation_problems == of.problems else f", evaluated on {of.evaluation_problems:,} of them"
    return f"{count(of.problems, 'training problem')}, {passes} pass{'' if of.passes == 1 else 'es'}{evaluated}"


def context(asked: Context) -> str:
    """Name a context and what of its options is unusual: hints, 3 shown, 20 % wrong."""
    if isinstance(asked.options, PlaceboOptions):
        return ", ".join([f"placebo of {_context(asked.options.of, asked.options.options)}", *_wrong(asked.options)])
    return ", ".join([_context(asked.kind, asked.options), *_wrong(asked.options)])


def asked_about(model: str, task: str, of: Context) -> str:
    """Name what is measured or trained: lab/addition-qwen3-s on lab/addition, context hints, 2 shown."""
    return f"{isolated(model)} on {isolated(task)}, context {context(of)}"


def labels(name: str | None, tags: Sequence[str]) -> str:
    """Write a name and tags in one cell."""
    return "  ".join([*([name] if name else []), *(f"#{tag}" for tag in tags)])


def run_name(name: str | None, external_id: str | None) -> str:
    """Return what people call a run of theirs: its name, else their id of it; nothing if it has neither."""
    return name or external_id or ""


def shortened(names: Sequence[str], most: int = 12) -> str:
    """List names, the first ones alone where they are many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def shown_context(key: str) -> str:
    """Name the context that a key is of, by its options or by the name that people gave it."""
    said = json.loads(key)
    if "name" in said:
        return f"{plain(said['kind'])}: {said['name']}"
    try:
        return context(context_of({"kind": said["kind"], "options": said["options"]}))
    except ValidationError:  # of a version that had other options
        return plain(said["kind"])


def _context(kind: str, options: Strict) -> str:
    if not isinstance(options, HintsOptions):
        return plain(kind)
    if options.source == "model":
        return f"{plain(kind)}, from a {options.extract_from} solution"
    return f"{plain(kind)}, {options.level} shown" if options.level else plain(kind)


def _wrong(options: Strict) -> list[str]:
    if not isinstance(options, CorruptibleOptions):
        return []
    corruption = options.corruption
    wrong = [f"{level(corruption.rate)} wrong"] if corruption.rate else []
    return wrong + ([f"{level(corruption.coverage)} covered"] if corruption.coverage < 1 else [])


def shape(linear: float) -> str:
    """Write how probable it is that improvements follow the gap straight on, or saturate."""
    straight, saturating = SHAPES.values()
    if linear in (0, 1):
        return straight if linear else saturating
    return f"{straight} {weight(linear)}, {saturating} {weight(1 - linear)}"


def side(link: str, share: float) -> str:
    """Name one of the shapes that a law may have, with its weight."""
    return f"{SHAPES.get(link, link)} ({weight(share)})"


def link_weights(links: LinkWeights) -> str:
    """The same, and in which of two ways improvements saturate."""
    ways = f" (tanh {weight(links.tanh)}, exp {weight(links.exp)})" if links.saturating >= 0.005 else ""
    return f"{shape(links.linear)}{ways}"


def summed_up(of: Compared | LawUsed, interval: str = "") -> str:
    """Sum a law up by its slope, or by the improvement at one gap where the slope depends on the link."""
    common = of.at_common_gap
    if of.depends_on_link and common is not None:
        at = f"{points(common.improvement)} points at a gap of {100 * common.gap:g}"
        return f"{at} ({interval}{between(*common.improvement_interval)})"
    low, high = of.slope_interval
    at = "" if of.straight else " at gap 0"
    return f"slope {of.slope:.2f}{at} ({interval}{low:.2f} to {high:.2f})"


def off(difference: float) -> str:
    """Write how far an outcome is from what was predicted: 2.3 more."""
    return f"{plain_points(abs(difference))} {'less' if difference < 0 else 'more'}"


def on_track(found: Forecast | TrainingForecast) -> str:
    """Say where a run is expected to end now, beside what was predicted before it began."""
    now, before = found.now, found.before.value
    narrow = now.intervals[0]
    text = f"{points(now.expected)} now expected, {level(narrow.level)} {between(narrow.lower, narrow.upper)}"
    if before is None:
        text = f"{text}; nothing was predicted before"
    else:
        state = "on track"
        if before > narrow.upper:
            state = f"behind, {probability(now.p_above_min_gain)} above {points(found.min_gain)}"
        elif before < narrow.lower:
            state = "ahead"
        text = f"{state}: {text}; predicted {points(before)} before"
    if not found.curves.cold:
        return text
    return f"{text}; cold: {count(found.curves.runs, 'stored curve')} of such runs"


def early_stop(stop: EarlyStop) -> str:
    """Say what a rule says of a run, and what becomes of it."""
    text = f"at step {stop.step:,}: {STOPS[stop.rule]}"
    if stop.rule == "futility" and stop.p_above_min_gain is not None and stop.threshold is not None:
        source = "learnt from finished runs" if stop.learnt else "too few finished runs to learn one"
        above = f"{probability(stop.p_above_min_gain)} probability of more than {points(stop.min_gain or 0.0)}"
        text = f"{text}, {above} (threshold {probability(stop.threshold)}, {source})"
    if stop.improvement is not None:
        text = f"{text}; its own curve leads to {measured(stop.improvement)} points"
    if stop.carried_out:
        return text
    return f"{text}. It goes on: one such run in ten does, so that the rule can be checked"


def pilot_command(prediction_id: str) -> str:
    """Say how to see early, and cheaply, that a run will not be worth it."""
    return f"To see a loser early: gapcast train --prediction {prediction_id} --pilot 20%"


RULINGS = {
    "hopeless": "stop: {chance}, below the threshold of {threshold}",
    "worth_it": "go on: {chance}, not below the threshold of {threshold}",
    "too_early": "go on: {chance}, but no run is stopped before 5 % of its steps",
    "too_late": "go on: {chance}, but no run is stopped after 75 % of its steps",
    "cold": "go on: {chance}, but {curves} of such runs is too few to stop one by",
    "kept_going": "go on: {chance}, below the threshold of {threshold}, but one stop in ten is not carried out, so "
    "that the rule can be checked",
}
"""by the reason of a stopping rule's ruling"""


def ruling(reason: str, p_above: float, min_gain: float, threshold: float, curves: int) -> str:
    """Say what a stopping rule says after a look, and why."""
    chance = f"{probability(p_above)} above {points(min_gain)}"
    named = {"threshold": probability(threshold), "curves": count(curves, "stored curve")}
    return RULINGS[reason].format(chance=chance, **named)


def calibration(pool: str, found: Calibration) -> str:
    """Say how often the intervals held what came, how wide they were and how far off their middles."""
    left_out = [f"{n:,} {LEFT_OUT.get(reason, reason)}" for reason, n in found.left_out.items() if n]
    besides = f" Left out: {listed(left_out)}." if left_out else ""
    if found.n == 0 or found.bias is None:
        return f"No prediction has met its outcome in pool {pool} yet.{besides}"
    held = [
        f"{round(one.coverage * found.n):,} came inside their {level(one.level)} interval "
        f"({whole_percent(one.coverage)}, 95 % confidence {100 * one.lower:.0f} to {whole_percent(one.upper)})"
        for one in found.levels
    ]
    widths = listed([plain_points(one.width) for one in found.levels])
    off = plain_points(abs(found.bias)) + (f" ± {plain_points(found.bias_se)}" if found.bias_se is not None else "")
    seeds = (
        f" They belong to {found.predictions:,} predictions: seeds of one err together, which this confidence ignores."
        if found.predictions < found.n
        else ""
    )
    return (
        f"Of {count(found.n, 'outcome')}, {listed(held)}; the intervals were {widths} {POINTS} wide on average, and "
        f"what came was {off} {'above' if found.bias > 0 else 'below'} the prediction.{seeds}{besides}"
    )


def forecasts(found: ForecastsCalibration) -> str:
    """Say how often forecasts held the ends of finished runs, and what a rule would have stopped."""
    held = [f"{whole_percent(one.coverage)} at {whole_percent(one.share)}" for one in found.at]
    off = [f"{plain_points(one.mae)} at {whole_percent(one.share)}" for one in found.at]
    cold = f" For {count(found.cold, 'run')} of them too few alike are known to stop one." if found.cold else ""
    rules = [_stopped(one) for one in found.stops if one.bad]
    saves = f" With a stated error of {whole_percent(found.stops[0].error)} the rule {listed(rules)}." if rules else ""
    return (
        f"Of {count(found.runs, 'finished run')}, forecast without their context, the 95 % interval held the end of "
        f"{listed(held)} of the steps; the expected end was {listed(off)} {POINTS} off.{cold}{saves}"
    )


def _stopped(one: StopCalibration) -> str:
    good = f"{one.good_stopped:,} of {count(one.good, 'run')} that gained more than {plain_points(one.min_gain)}"
    return (
        f"would have stopped {good} and saved {whole_percent(one.saved or 0.0)} of the steps of the other {one.bad:,}"
    )


def truncated(arms: Mapping[str, Arm]) -> str:
    """Say which share of each arm's rollouts was truncated at max_tokens."""
    if all(arm.truncated is None for arm in arms.values()):
        return "not known"
    shares = [f"{arm_name(name)} {percent(arm.truncated)}" for name, arm in arms.items() if arm.truncated]
    return ", ".join(shares) or "no rollout"


def arm_name(name: str) -> str:
    """Name an arm of a probe."""
    return ARMS.get(name, plain(name))


def without_context(share: float, reasons: Mapping[str, int]) -> str:
    """Say which share of an arm's rollouts had no context, and why; `reasons` counts rollouts."""
    why = ", ".join(f"{NO_CONTEXT.get(reason, plain(reason))} ({n:,})" for reason, n in reasons.items())
    return f"{percent(share)} of rollouts: {why}" if share else "no rollout"


def stopped(by: str | None, problems: int | None, most: int) -> str | None:
    """Say why a sequential probe stopped; None for another."""
    return STOPPED[by].format(problems=problems, most=most) if by in STOPPED else None


def so_far(progress: Progress) -> str:
    """Write the gap of the problems that are done, where a probe takes them in several batches."""
    if progress.gap is None:
        return ""
    return f"gap so far {measured(progress.gap)} points, {count(progress.problems, 'problem')}"


def pace(progress: Paced) -> str:
    """Say how fast it goes and how long it still takes: 1.25 a second, about 3 min left."""
    if not progress.rate or progress.seconds_left is None:
        return ""
    return f"{progress.rate:.3g} a second, about {duration(progress.seconds_left)} left"


def waits(why: Waiting | None) -> str:
    """Say why a job has not started: who is ahead of it and for how long, or that no worker has been seen."""
    if why is None:
        return STATES["queued"]
    if not why.workers:
        return _nobody(why)
    behind = f", {count(why.ahead, 'job')} ahead" if why.ahead else ""
    if why.running is None:
        return f"{STATES['queued']}{behind}"
    left, since = why.running.seconds_left, duration(why.running.seconds)
    far = f"running for {since}" if left is None else f"about {duration(left)} left" if left >= 1 else "almost done"
    return f"waiting for {why.running.id or 'another job'} ({far}){behind}"


def _nobody(why: Waiting) -> str:
    """Say that no worker can take a job, and how to start one that can."""
    options = "".join(f" --label {label}" for label in why.needs.labels)
    if why.needs.memory_gb:
        options += f" --memory-gb {why.needs.memory_gb:g}"
    listing = f", with {why.needs.model} under [[models]] in its settings" if why.needs.model is not None else ""
    lacks = f"has {needs(why.needs)} ({count(why.unable, 'other')} seen)" if why.unable else "has been seen"
    return f"no worker for {TAKES.get(why.queue, why.queue)} {lacks}: start one with `gapcast worker{options}`{listing}"


def needs(of: JobNeeds) -> str:
    """Say what a job needs of its worker: the model qwen3-8b, the label gpu and 24 GB of memory."""
    parts = [f"the model {of.model}"] if of.model is not None else []
    parts += [f"the label {label}" for label in of.labels]
    parts += [f"{of.memory_gb:g} GB of memory"] if of.memory_gb else []
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def offer(of: Offer) -> str:
    """Write what a worker has for jobs: its labels, its models and its memory."""
    memory = [f"{of.memory_gb:g} GB"] if of.memory_gb is not None else []
    return ", ".join([*of.labels, *of.models, *memory])


def running_job(job: RunningJob) -> str:
    """Write what a job is and for how long it has run."""
    left = f", about {duration(job.seconds_left)} left" if job.seconds_left is not None else ""
    return f"{job.kind} {job.id or 'of another tenant'}, for {duration(job.seconds)}{left}"


def decoding_mode(mode: str | None) -> str:
    """Say how a gap and an improvement were decoded."""
    parts = (mode or "").split("/")
    if len(parts) == 1:
        return "with thinking" if parts[0] else "without thinking"
    student, teacher, evaluation = ("thinking" if part == "thinking" else "not thinking" for part in parts)
    return f"with the student {student}, the teacher {teacher} and the evaluated student {evaluation}"


def log_ratio(found: LogRatio) -> str:
    """Say how much the context changes what the student finds likely."""
    tenth = f"a tenth of the tokens carries {whole_percent(found.top_tenth)} of the change"
    return f"{found.mean:+.3f} nats a token that the student wrote, by the context; {tenth}"


def pass_at_k(shares: Mapping[str, float]) -> str:
    """Write the share of problems that are solved by one of k rollouts."""
    return ", ".join(f"{percent(share)} with {k}" for k, share in shares.items())


def model_size(parameters: float) -> str:
    """Write a number of weights: 8B, 350M, 101K."""
    for letter, unit in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= 0.9995 * unit:  # so that 999.9M is written 1B
            return f"{parameters / unit:.3g}{letter}"
    return f"{parameters:g}"


def gpu_hours(hours: float | None) -> str:
    """Write GPU-hours where a GPU was used, after something else."""
    if not hours:
        return ""
    if hours < 0.01:
        return ", < 0.01 GPU-hours"
    return f", {f'{hours:.2g}' if hours < 10 else f'{hours:,.0f}'} GPU-hours"


def run_cost(cost: RunCost) -> str:
    """Write what a run has taken."""
    parts = ((cost.rollouts, "rollout"), (cost.tokens, "token"))
    counted = [count(number, thing) for number, thing in parts if number is not None]
    return ", ".join([f"{duration(cost.seconds)}{gpu_hours(cost.gpu_hours)}", *counted])


def artifact(kind: str) -> str:
    """Name what a run leaves."""
    return {"lora": "LoRA adapter", "full": "model"}.get(kind, kind)


def when(time: str) -> str:
    """Write a time of the API (RFC 3339, UTC) to the minute; where it stands says that it is UTC."""
    return f"{time[:10]} {time[11:16]}"


def duration(seconds: float) -> str:
    """Write a time in its largest unit: 0.8 s, 45 s, 12 min, 3.2 h."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def file_size(size: int) -> str:
    """Write a number of bytes: 512 B, 3.2 MB, 16 GB."""
    for letter, unit in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if size >= 0.9995 * unit:  # so that 999.9 MB is written 1 GB
            return f"{size / unit:.3g} {letter}B"
    return f"{size} B"


def short_id(name: str) -> str:
    """Write an id by its last eight characters, which tell ids apart: the first ones are the time."""
    return f"{name.partition('_')[0]}_…{name[-8:]}"


def curve(values: Sequence[float], most: int = 40) -> str:
    """Draw numbers as one line of at most so many blocks, from the lowest block to the highest.

    Of more numbers the first, the last, and evenly spaced ones in between are drawn.
    """
    if len(values) > most:
        values = [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]
    low, high = min(values), max(values)
    heights = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    return "".join(BLOCKS[round(height * (len(BLOCKS) - 1))] for height in heights)


def scored_outputs(outputs: int, right: int, partly: int, unread: int, labelled: int, agree: int) -> str:
    """Summarize what a verifier says of outputs, and how often it agrees with their labels."""
    parts = [f"{outputs:,} outputs: {right:,} right ({right / outputs:.1%})"]
    if partly:
        parts.append(f"{partly:,} in part")
    parts.append(f"{outputs - right - partly:,} wrong, in {unread:,} of which no answer was found")
    text = ", ".join(parts) + "."
    return f"{text} {agree:,} of {labelled:,} labels agree." if labelled else text
