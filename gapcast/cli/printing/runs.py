"""Training runs for people: what was gained against what was predicted, lists, checkpoints."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev
from types import MappingProxyType

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.following import command
from gapcast.cli.printing.lists import label
from gapcast.cli.terminal import print_panel, print_table
from gapcast.models import Checkpoint, Estimate, Forecast, Gained, Predicted, TrainingRun
from gapcast.words import (
    HELD,
    PHASES,
    artifact,
    asked_about,
    between,
    collapse,
    context,
    count,
    curve,
    early_stop,
    estimated,
    file_size,
    level,
    measured,
    off,
    on_track,
    percent,
    plain_points,
    points,
    probability,
    rate,
    run_cost,
    run_recipe,
    sentence,
    trained_on,
    warning,
    when,
    whole_percent,
)

COLOURS = {"succeeded": "green", "paused": "yellow", "running": "cyan", "queued": "cyan"}
"""of a run's status; whatever else there is has gone wrong, or was stopped"""


def print_runs_ended(
    console: Console, runs: Sequence[TrainingRun], forecasts: Mapping[str, Forecast] = MappingProxyType({})
) -> None:
    """Print each of the runs that were followed, with its forecast by id, and what several seeds say together."""
    for one in runs:
        print_run(console, one, forecasts.get(one.id))
    gains = [one.improvement.value for one in runs if one.improvement is not None]
    if len(gains) > 1:
        spread = f"{between(min(gains), max(gains))}, standard deviation {plain_points(stdev(gains))}"
        text = f"[bold]{len(gains)} runs[/]: improvement {points(mean(gains))} points on average ({spread})"
        console.print(text, highlight=False, soft_wrap=True)


def print_held(console: Console, run: TrainingRun, url: str) -> None:
    """Print what can be done about a run that has put itself aside."""
    for what, action in (("To go on to its end", "resume"), ("To end it for good", "cancel")):
        console.print(f"{what}: {command('runs', action, run.id, url)}", highlight=False, soft_wrap=True)


def print_run(console: Console, run: TrainingRun, forecast: Forecast | None = None) -> None:
    """Print a run as far as it is known, and where it is expected to end."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _rows(run, forecast, draws=not console.options.ascii_only):
        table.add_row(name, text)
    print_panel(console, table, run.id)
    if run.error is not None:
        console.print(f"[red]{run.status}[/]: {escape(run.error.message)}", highlight=False, soft_wrap=True)
    for warned in run.warnings:
        text = f"[yellow]Warning[/] ({warned.code}): {escape(warning(warned))}"
        console.print(text, highlight=False, soft_wrap=True)


def _rows(run: TrainingRun, forecast: Forecast | None, *, draws: bool) -> Iterator[tuple[str, str]]:
    yield from _what(run)
    yield from _state(run)
    if run.gap is not None:
        size = f", {run.gap.problems} problems x {run.gap.rollouts} rollouts" if run.gap.problems else ""
        yield "Gap", f"[bold]{estimated(run.gap)}[/]{size}"
        yield "", f"student {percent(run.gap.student)}, self-teacher {percent(run.gap.self_teacher)}"
    if run.improvement is not None:
        after = "" if run.baseline is None else f": {percent(run.baseline)} became "
        reached = "" if run.baseline is None else percent(run.baseline + run.improvement.value)
        yield "Improvement", f"[bold]{estimated(run.improvement)}[/]{after}{reached}"
    if run.predicted is not None:
        yield from _predicted(run.predicted, run.improvement)
    if forecast is not None:
        yield "Forecast", on_track(forecast)
    if run.stop is not None and run.stop.rule != "collapse":
        yield "Stopped" if run.stop.carried_out else "Stop announced", early_stop(run.stop)
    if run.improvement is not None:
        yield from _beside(run.improvement, len(run.evaluations or []))
    yield from _evaluations(run, draws=draws)
    yield from _end(run)


def _what(run: TrainingRun) -> Iterator[tuple[str, str]]:
    asked = run.configuration
    recipe = asked.recipe
    yield "Run", f"{escape(asked_about(asked.model, asked.task, asked.context))}, seed {run.seed}"
    yield "", f"{run_recipe(recipe.teacher, recipe.divergence)}, {count(recipe.steps, 'step')}; pool {escape(run.pool)}"
    yield "", f"{trained_on(run.training)}; {rate(recipe)}"
    if run.group_id is not None:
        yield "", f"one of {run.group_id}"
    if label(run):
        yield "Name, tags", escape(label(run))


def _state(run: TrainingRun) -> Iterator[tuple[str, str]]:
    if run.status == "succeeded":
        return
    colour, progress = COLOURS.get(run.status, "red"), run.progress
    at = (
        f", {PHASES.get(progress.phase, progress.phase)}: step {progress.done} of {progress.total}"
        if progress is not None
        else ""
    )
    why = f", as {HELD[run.held]}" if run.held is not None else ""
    yield "Status", f"[{colour}]{run.status}[/]{at}{why}"
    if run.checkpoint is not None and run.status != "cancelled":
        size = file_size(run.checkpoint.bytes)
        yield "", f"checkpoint of step {run.checkpoint.step} ({size}), {when(run.checkpoint.created_at)} UTC"
    if run.status == "paused":
        yield "", f"to go on: gapcast runs resume {run.id}"


def _predicted(predicted: Predicted, outcome: Gained | None) -> Iterator[tuple[str, str]]:
    """Yield the prediction from before the run, and if it held."""
    if predicted.value is None:
        yield "Predicted", f"nothing, {predicted.prediction_id} was refused"
        return
    gained = "" if outcome is None else f", the run gained {off(outcome.value - predicted.value)}"
    yield "Predicted", f"[bold]{points(predicted.value)} points[/]{gained}"
    for one in predicted.intervals:
        held = {True: ": [green]holds the outcome[/]", False: ": [yellow]misses the outcome[/]", None: ""}[one.covered]
        yield "", f"{level(one.level)} interval: {between(one.lower, one.upper)} points{held}"
    yield "", predicted.prediction_id


def _beside(gained: Gained, looks: int) -> Iterator[tuple[str, str]]:
    best, held_out = gained.best, gained.held_out
    if best is not None:
        yield "Best step", f"{best.step}: {estimated(best)}, best of {looks}, so too high"
    if held_out is None:
        yield "Held out", "no problems were"
        return
    start = f"{count(held_out.problems, 'problem')}, {percent(held_out.baseline)} before"
    yield "Held out", f"{estimated(held_out)}, {start}"
    if held_out.best is not None:
        yield "", f"at the best step {estimated(held_out.best)}"


def _evaluations(run: TrainingRun, *, draws: bool) -> Iterator[tuple[str, str]]:
    """Accuracy by step; as a curve where the terminal can draw one."""
    if not run.evaluations or run.baseline is None:
        return
    accuracies = [run.baseline, *(one.accuracy for one in run.evaluations)]
    drawn = f"{curve(accuracies)}  " if draws else ""
    yield (
        "Accuracy",
        f"{drawn}{percent(min(accuracies))} to {percent(max(accuracies))} over steps 0 to {run.evaluations[-1].step}",
    )


def _end(run: TrainingRun) -> Iterator[tuple[str, str]]:
    if run.collapsed is not None:
        yield "Collapsed", f"[red]YES[/]: {collapse(run.stopped_by)}" if run.collapsed else "no"
    if run.cost is not None:
        yield "Cost", run_cost(run.cost)
    if run.observation_id is not None:
        yield "Observation", f"{run.observation_id} in pool {escape(run.pool)}"
    if run.artifact is not None:
        model = run.artifact
        yield "Weights", escape(model.path)
        yield "", f"the {artifact(model.kind)} of step {model.step}, {file_size(model.bytes)}, on the worker's disk"


def print_forecast(console: Console, found: Forecast) -> None:
    """Print where a run is expected to end, after each of its looks, in accuracy points."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    levels = [f"{level(one.level)} interval" for one in found.now.intervals]
    names = ("Step", "Seen", "Improvement ± SE", "Expected end", *levels, f"Above {points(found.min_gain)}")
    for name in (*names, "Without the law ± SD"):
        table.add_column(name, justify="right", no_wrap=True)
    for look in found.looks:
        numbers = (measured(look.improvement), points(look.expected))
        intervals = (between(one.lower, one.upper) for one in look.intervals)
        above = probability(look.p_above_min_gain)
        table.add_row(
            *(f"{look.step} / {found.steps}", whole_percent(look.share), *numbers, *intervals, above),
            measured(look.without_law),
        )
    print_table(console, table)
    console.print(sentence(on_track(found)), highlight=False, soft_wrap=True)


def print_runs(console: Console, runs: Sequence[TrainingRun]) -> None:
    """Print runs as a table, gaps and improvements in accuracy points."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Run", "Status", "Model", "Task", "Context"):
        table.add_column(name, no_wrap=name == "Run", overflow="fold")
    for name in ("Seed", "Step", "Gap ± SE", "Improvement ± SE", "Predicted"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Group", no_wrap=True)
    table.add_column("Name, tags", overflow="fold")
    for one in runs:
        asked, progress = one.configuration, one.progress
        colour = COLOURS.get(one.status, "red")
        status = f"[{colour}]{one.status}[/]{', collapsed' if one.collapsed else ''}"
        names = (escape(asked.model), escape(asked.task), context(asked.context))
        step = f"{progress.done} / {progress.total}" if progress is not None else ""
        said = one.predicted.value if one.predicted is not None else None
        measured = (_measured(one.gap), _measured(one.improvement), points(said) if said is not None else "")
        table.add_row(one.id, status, *names, str(one.seed), step, *measured, one.group_id or "", escape(label(one)))
    print_table(console, table)


def _measured(one: Estimate | None) -> str:
    return "" if one is None else measured(one)


def print_checkpoints(console: Console, checkpoints: Sequence[Checkpoint]) -> None:
    """Print checkpoints as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Step", "Attempt", "Size"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("Written (UTC)", "SHA-256", "Folder on the worker (the two newest and the best are kept)"):
        table.add_column(name, no_wrap=True)
    for one in checkpoints:
        numbers = (str(one.step), str(one.attempt), file_size(one.bytes))
        table.add_row(*numbers, when(one.created_at), one.sha256[:12], escape(one.path))
    print_table(console, table)
