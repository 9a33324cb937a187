"""A prediction for people."""

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.printing.lists import label
from gapcast.cli.printing.probes import control_rows
from gapcast.cli.terminal import print_panel
from gapcast.models import Branch, Prediction
from gapcast.words import (
    SAME,
    STATES,
    asked_about,
    between,
    chances,
    count,
    duration,
    estimated,
    expected,
    gained,
    gpu_hours,
    law_status,
    level,
    link_weights,
    measured,
    percent,
    points,
    rate,
    run_name,
    side,
    summed_up,
    supported,
    trained_on,
    verdict,
    warning,
)

COLOURS = {
    "train": "green",
    "pilot": "yellow",
    "skip": "red",
    "probe_more": "yellow",
    "undecided": "yellow",
    "refused": "red",
}
"""of a verdict"""


def print_prediction(console: Console, prediction: Prediction) -> None:
    """Print an ended prediction: figures, verdict, warnings."""
    gap, improvement, law = prediction.gap, prediction.improvement, prediction.law
    if gap is None or improvement is None or law is None:
        _print_without_result(console, prediction)
        return
    advice = verdict(prediction.verdict, prediction.request.min_gain)
    colour = COLOURS.get(prediction.verdict or "", "white")
    console.print(f"[bold {colour}]{advice.name.upper()}: {advice.reason}[/]", highlight=False)
    said = expected(prediction)
    if said is not None:
        console.print(escape(said), highlight=False)
    support = prediction.support
    for lacking in support.missing if support is not None else ():
        console.print(f"[yellow]Missing[/] ({lacking.code}): {escape(lacking.message)}", highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in _asked(prediction):
        table.add_row(name, text)
    size = f", {gap.problems} problems x {gap.rollouts} rollouts" if gap.problems else ", measured elsewhere"
    table.add_row("Gap", f"[bold]{estimated(gap)}[/]{size}")
    table.add_row("", f"student {percent(gap.student)}, self-teacher {percent(gap.self_teacher)}")
    if improvement.value is None:
        table.add_row("Improvement", "none given")
    else:
        table.add_row(
            "Improvement", f"[bold]{points(improvement.value)} points[/] (predicted, as a run would measure it)"
        )
        for one in improvement.intervals:
            table.add_row("", f"{level(one.level)} interval: {between(one.lower, one.upper)} points")
        if improvement.branches:
            table.add_row("", "[yellow]a mixture of these two, as beyond the stored gaps neither is ruled out:[/]")
        for branch in improvement.branches:
            table.add_row("", _side(branch))
        for name, text in chances(improvement, support):
            table.add_row(name, text)
    if prediction.held_out is not None:
        found = prediction.held_out
        on = (
            "none given" if found.improvement.value is None else f"{points(found.improvement.value)} points (predicted)"
        )
        name = verdict(found.verdict, prediction.request.min_gain).name
        table.add_row("Held out", f"{on}; verdict on held-out problems: {name}")
        for one in found.improvement.intervals:
            table.add_row("", f"{level(one.level)} interval: {between(one.lower, one.upper)} points")
    if support is not None:
        table.add_row("Support", supported(support))
        for run in support.nearest:
            gain = f"gap {measured(run.gap)}, gained {gained(run)}"
            called = ", ".join(filter(None, (run_name(run.name, run.external_id), run.observation_id)))
            table.add_row(
                "", f"{SAME[run.same]}: {escape(run.model)}, {escape(run.context_kind)}, {gain} ({escape(called)})"
            )
    figures = prediction.probe
    if prediction.controls is not None:
        for name, text in control_rows(prediction.controls, figures.net_gap if figures is not None else None):
            table.add_row(name, text)
    if prediction.training is not None:
        recipe = prediction.request.recipe
        table.add_row("Run", f"{count(recipe.steps, 'step')} on {trained_on(prediction.training)}")
        table.add_row("", rate(recipe))
    table.add_row("Law", f"of cell {escape(law.cell or law.family)}: {summed_up(law, '95 % confidence ')}")
    if law.of_family is not None:
        table.add_row("", f"of family {escape(law.family)}: {summed_up(law.of_family, '95 % confidence ')}")
    table.add_row("", f"{law_status(law.status, law.n)}; {link_weights(law.links)}")
    table.add_row("Fit", law.fit_id)
    if prediction.cost is not None and prediction.cost.probe_seconds is not None:
        training = prediction.cost.training_seconds_estimate
        then = f", the run would take about {duration(training)}" if training is not None else ""
        seconds, hours = prediction.cost.probe_seconds, prediction.cost.probe_gpu_hours
        took = f"the probe took {duration(seconds)}{gpu_hours(hours)}"
        table.add_row("Cost", f"{took}{then}")
    print_panel(console, table, prediction.id)
    for warned in prediction.warnings:
        if warned.code != "link_undecided":  # the panel says it, in points
            console.print(f"[yellow]Warning[/] ({warned.code}): {escape(warning(warned))}", highlight=False)


def _print_without_result(console: Console, prediction: Prediction) -> None:
    message = f": {escape(prediction.error.message)}" if prediction.error is not None else ""
    state = f"[{'red' if prediction.ended else 'cyan'}]{STATES[prediction.status]}[/]"
    console.print(f"{prediction.id}: {state}{message}", highlight=False, soft_wrap=True)
    for name, text in _asked(prediction):
        console.print(f"[bold]{name}[/]: {text}", highlight=False, soft_wrap=True)


def _asked(prediction: Prediction) -> Iterator[tuple[str, str]]:
    asked = prediction.request
    yield "Asked", escape(asked_about(asked.model.name, asked.task, asked.context))
    if label(prediction):
        yield "Name, tags", escape(label(prediction))


def _side(branch: Branch) -> str:
    """What a straight or a saturating law says alone, with its widest interval."""
    widest = max(branch.intervals, key=lambda one: one.level)
    interval = f"{level(widest.level)} interval {between(widest.lower, widest.upper)}"
    return f"{side(branch.link, branch.weight)}: {points(branch.value)} points, {interval}"
