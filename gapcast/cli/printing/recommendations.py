"""Recommendations for people: the steps of a plan and why, and what it was compared with."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast import recommendation_words
from gapcast.cli.printing.lists import label
from gapcast.cli.terminal import print_table
from gapcast.models import Considered, Recommendation
from gapcast.words import POINTS, STATES, between, duration, measured, plain_points, points, probability, warning, when


def print_recommendation(console: Console, plan: Recommendation) -> None:
    """Print a plan: its steps, its worth beside other plans', and the configurations."""
    for line in _first_lines(plan):
        console.print(line, highlight=False, soft_wrap=True)
    console.print()
    print_table(console, _space(plan))
    if len(plan.alternatives) > 1:
        console.print()
        print_table(console, _considered(plan.alternatives))
    for warned in plan.warnings:
        console.print(f"[yellow]Warning[/] ({warned.code}): {escape(warning(warned))}", highlight=False, soft_wrap=True)
    console.print(
        f"{plan.id}: {recommendation_words.UNITS[plan.unit]}; gains in {POINTS}", highlight=False, soft_wrap=True
    )


def _first_lines(plan: Recommendation) -> Iterator[str]:
    if label(plan):
        yield escape(label(plan))
    if plan.request.execute:
        message = f": {escape(plan.error.message)}" if plan.error is not None else ""
        yield f"[{'red' if plan.error is not None else 'cyan'}]{STATES[plan.status]}[/]{message}"
    for number, step in enumerate(plan.plan, start=1):
        state = f" [{step.status}]" if plan.request.execute else ""
        yield f"[bold]{number}. {escape(recommendation_words.step(plan, step))}[/]{escape(state)}"
        yield f"   {escape(step.why)}"
    yield recommendation_words.worth(plan)
    yield f"The bottleneck is {recommendation_words.BOTTLENECKS[plan.bottleneck]}."
    if plan.best is not None and plan.best.improvement is not None:
        name, run = plan.space[plan.best.place].name, plan.best.training_run_id
        yield f"[bold]Best run: {escape(name)}, {measured(plan.best.improvement)} points ({run})[/]"


def _space(plan: Recommendation) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Configuration", no_wrap=True)
    for name in ("Gap", "Problems", "Predicted", "80 % interval", "P(best)", "Run"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in sorted(plan.space, key=lambda one: (-one.p_best, one.place)):
        table.add_row(
            escape(one.name),
            measured(one.gap) if one.gap is not None else "not known",
            f"{one.problems:,}",
            points(one.value),
            between(one.interval.lower, one.interval.upper),
            probability(one.p_best),
            duration(3600 * one.run_hours),
        )
    return table


def _considered(plans: Sequence[Considered]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Plans considered", no_wrap=True)
    for name in ("Gain", "Takes"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in plans:
        table.add_row(recommendation_words.considered(one), plain_points(one.expected_gain), duration(3600 * one.hours))
    return table


def print_recommendations(console: Console, plans: Sequence[Recommendation]) -> None:
    """Print recommendations as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Recommendation", "Created (UTC)", "Task", "Bottleneck"):
        table.add_column(name, no_wrap=True)
    for name in ("Of", "Gain", "Takes", "Best run"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("Status", "Name, tags"):
        table.add_column(name, overflow="fold")
    for one in plans:
        best = one.best.improvement if one.best is not None else None
        figures = (str(len(one.space)), points(one.expected_gain), duration(3600 * one.hours))
        gained = measured(best) if best is not None else ""
        texts = (one.id, when(one.created_at), escape(one.request.asked[0].task), one.bottleneck)
        table.add_row(*texts, *figures, gained, one.status, escape(label(one)))
    print_table(console, table)
