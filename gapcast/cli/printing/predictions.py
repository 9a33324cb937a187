"""A prediction for people."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.printing.probes import control_rows
from gapcast.cli.terminal import print_panel
from gapcast.models import Branch, Prediction
from gapcast.words import count, estimated, gpu_hours, link_weights, points, probability, summed_up, weight

VERDICTS = {
    "train": ("green", "TRAIN: the whole 80 % interval lies above the gain that you ask for."),
    "skip": ("red", "SKIP: the whole 80 % interval lies below the gain that you ask for."),
    "probe_more": ("yellow", "PROBE MORE: this probe cannot decide, a larger one could."),
    "undecided": ("yellow", "UNDECIDED: the law itself is too uncertain here; no probe can decide."),
    "refused": ("red", "REFUSED: no honest number can be given; the warnings say why."),
}


def print_prediction(console: Console, prediction: Prediction) -> None:
    """Print an ended prediction: figures, verdict, warnings."""
    gap, improvement, law = prediction.gap, prediction.improvement, prediction.law
    if gap is None or improvement is None or law is None:
        message = prediction.error.message if prediction.error is not None else "no result"
        console.print(f"[red]{prediction.status}[/]: {escape(message)}", highlight=False)
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    size = f", {gap.problems} problems x {gap.rollouts} rollouts" if gap.problems else ", measured elsewhere"
    table.add_row("Gap", f"[bold]{estimated(gap)}[/]{size}")
    table.add_row("", f"student {100 * gap.student:.1f} %, self-teacher {100 * gap.self_teacher:.1f} %")
    if improvement.value is None:
        table.add_row("Improvement", "none given")
    else:
        table.add_row(
            "Improvement", f"[bold]{points(improvement.value)} points[/] (predicted, as a run would measure it)"
        )
        for one in improvement.intervals:
            table.add_row("", f"{100 * one.level:g} % interval: {points(one.lower)} to {points(one.upper)} points")
        if improvement.branches:
            table.add_row("", "[yellow]a mixture of these two, as beyond the stored gaps neither is ruled out:[/]")
        for branch in improvement.branches:
            table.add_row("", _side(branch))
        if improvement.p_positive is not None:
            chance = f"P(improvement > 0) {probability(improvement.p_positive)} unless the run collapses,"
            table.add_row("", chance)
            collapse = probability(improvement.p_collapse)
            table.add_row("", f"P(collapse) {collapse}: the share of stored runs that ended far off the law")
    figures = prediction.probe
    if prediction.controls is not None:
        for name, text in control_rows(prediction.controls, figures.net_gap if figures is not None else None):
            table.add_row(name, text)
    table.add_row("Law", f"{escape(law.family)}: {summed_up(law, '95 % confidence ')}")
    table.add_row("", f"{count(law.n, 'run')}, {law.status}; {link_weights(law.links)}")
    table.add_row("Fit", law.fit_id)
    if prediction.cost is not None and prediction.cost.probe_seconds is not None:
        training = prediction.cost.training_seconds_estimate
        then = f", the run would take about {training:.0f} s" if training is not None else ""
        took = f"the probe took {prediction.cost.probe_seconds:.1f} s{gpu_hours(prediction.cost.probe_gpu_hours)}"
        table.add_row("Cost", f"{took}{then}")
    print_panel(console, table, prediction.id)
    colour, text = VERDICTS.get(prediction.verdict or "", ("white", str(prediction.verdict)))
    console.print(f"[bold {colour}]{text}[/]", highlight=False)
    for warned in prediction.warnings:
        if warned.code != "link_undecided":  # the panel says it, in points
            console.print(f"[yellow]Warning[/] ({warned.code}): {escape(warned.message)}", highlight=False)


def _side(branch: Branch) -> str:
    """What a straight or a saturating law says alone, with its widest interval."""
    name = "straight" if branch.link == "linear" else branch.link
    widest = max(branch.intervals, key=lambda one: one.level)
    interval = f"{100 * widest.level:g} % interval {points(widest.lower)} to {points(widest.upper)}"
    return f"{name} ({weight(branch.weight)}): {points(branch.value)} points, {interval}"
