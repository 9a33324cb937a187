"""What the pages show of training runs: what they have come to, beside what was predicted."""

from collections.abc import Iterator, Sequence

from gapcast import words
from gapcast.contract.forecasts import Forecast
from gapcast.contract.predictions import PredictionOut
from gapcast.contract.training_results import Predicted, PredictedInterval, TrainingRunOut
from service.web.facts import Fact, Verdict, estimate


def judgement(run: TrainingRunOut) -> Verdict:
    """Say what an ended run has come to."""
    if run.status != "succeeded" or run.improvement is None:
        why = run.error.message if run.error is not None else ""
        return Verdict(words.sentence(words.STATES[run.status]), why, "" if run.status == "cancelled" else "refused")
    if run.collapsed:
        return Verdict("Collapsed", f"{words.sentence(words.collapse(run.stopped_by))}.", "refused")
    value, interval = run.improvement.value, judged(run.predicted)
    gained = f"Its accuracy changed by {words.points(value)} {words.POINTS}"
    if run.predicted is None or run.predicted.value is None or interval is None:
        return Verdict(words.sentence(words.STATES[run.status]), f"{gained}.", "train")
    headline = f"{'Inside' if interval.covered else 'Outside'} its {words.level(interval.level)} interval"
    text = f"{gained}, {words.off(value - run.predicted.value)} than predicted."
    return Verdict(headline, text, "train" if interval.covered else "")


def came(prediction: PredictionOut, runs: Sequence[TrainingRunOut]) -> Verdict | None:
    """Say what has come of a prediction's runs, which counts more than what was predicted; None while nothing has."""
    ended = [run for run in runs if run.improvement is not None or run.collapsed]
    if not ended:
        return None
    found = [judged(run.predicted) for run in ended]
    inside = [one.covered for one in found if one is not None and one.covered is not None]
    colour = "refused" if any(run.collapsed for run in ended) else "train" if inside and all(inside) else ""
    return Verdict(words.trained(prediction, ended), words.held(inside), colour)


def judged(predicted: Predicted | None) -> PredictedInterval | None:
    """Return the interval that a run is judged by: of 80 %, else the narrowest that its prediction has."""
    intervals = predicted.intervals if predicted is not None else []
    return min(intervals, key=lambda one: (one.level != 0.8, one.level), default=None)


def run_facts(run: TrainingRunOut, forecast: Forecast | None = None) -> Iterator[Fact]:
    """Say what is known of a run, and where it is expected to end; times, which a browser writes, are not among it."""
    gap, gained = run.gap, run.improvement
    yield Fact("Trains on", words.trained_on(run.training), "trained-on")
    yield Fact("Measured", estimate(gained), "measured")
    yield Fact("Predicted", _predicted(run.predicted) if run.predicted is not None else None, "predicted")
    yield Fact("Forecast", words.on_track(forecast) if forecast is not None else None, "forecast")
    if run.held is not None:
        yield Fact("Put aside", words.sentence(words.HELD[run.held]), "held")
    if run.stop is not None and run.stop.rule != "collapse":
        yield Fact("Stopped" if run.stop.carried_out else "Stop announced", words.early_stop(run.stop), "stop")
    yield Fact("Gap", estimate(gap), "gap")
    if gap is not None:
        before = f"student {words.percent(gap.student)}, self-teacher {words.percent(gap.self_teacher)}"
        yield Fact("Before training", before, "before")
    if gained is not None and gained.best is not None:
        best = f"{gained.best.step:,}: {words.measured(gained.best)}, chosen by its value, so too high"
        yield Fact("Best step", best, "best")
    if gained is not None and gained.held_out is not None:
        held = gained.held_out
        said = (
            f"{words.measured(held)} on {words.count(held.problems, 'problem')}, {words.percent(held.baseline)} before"
        )
        yield Fact("Held out", said, "held-out")
    if run.checkpoint is not None and run.status not in {"succeeded", "cancelled"}:
        checkpoint = f"step {run.checkpoint.step:,}, {words.file_size(run.checkpoint.bytes)}"
        yield Fact("Checkpoint", checkpoint, "checkpoint")
    if run.artifact is not None:
        model = run.artifact
        kind = f"{words.artifact(model.kind)} of step {model.step:,}, {words.file_size(model.bytes)}"
        yield Fact("Weights", f"{model.path} ({kind})", "artifact")
    yield Fact("Cost", words.run_cost(run.cost) if run.cost is not None else None, "cost")
    for name, found, address in (
        ("Observation", run.observation_id, "/observations/"),
        ("Prediction", run.prediction_id, "/predictions/"),
    ):
        label = words.short_id(found) if found is not None else ""
        yield Fact(name, found, name.lower(), f"{address}{found}", label)


def _predicted(found: Predicted) -> str:
    if found.value is None:
        return "no number: the law refused"
    held = {True: ", held", False: ", missed", None: ""}
    said = [
        f"{words.level(one.level)}: {words.between(one.lower, one.upper)}{held[one.covered]}" for one in found.intervals
    ]
    return f"{words.points(found.value)} {words.POINTS} ({'; '.join(said)})"
