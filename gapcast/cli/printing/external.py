"""External runs for people: a line a look, where a run is expected to end, and lists."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.printing.lists import label
from gapcast.cli.printing.runs import print_forecast
from gapcast.cli.terminal import print_table
from gapcast.models import ExternalRun
from gapcast.words import on_track, percent, points, sentence, when


def print_looks(console: Console, run: ExternalRun, after: int) -> None:
    """Print where a run was expected to end at each of its looks after a step."""
    if run.forecast is None:
        return
    for look in run.forecast.looks:
        if look.step > after:
            then = run.forecast.model_copy(update={"now": look})
            console.print(f"step {look.step} of {run.steps}: {on_track(then)}", highlight=False, soft_wrap=True)


def print_end(console: Console, run: ExternalRun) -> None:
    """Print in one line where a run is expected to end, and what its rule says."""
    said = "no look yet" if run.forecast is None else on_track(run.forecast)
    console.print(f"{run.id}: {said}", highlight=False, soft_wrap=True)
    if run.ruling is not None:
        console.print(sentence(run.ruling.message), highlight=False, soft_wrap=True)
    if run.observation_id is not None:
        console.print(f"{run.observation_id} in pool {escape(run.pool)}", highlight=False, soft_wrap=True)


def print_external(console: Console, run: ExternalRun) -> None:
    """Print a run: what is trained, its forecasts at each look, what its rule says."""
    console.print(f"{escape(run.model)} on {escape(run.task)}, {run.steps} steps: {run.status}", highlight=False)
    if run.forecast is not None:
        print_forecast(console, run.forecast)
    print_end(console, run)


def print_externals(console: Console, runs: Sequence[ExternalRun]) -> None:
    """Print runs as a table, gains in accuracy points."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Run", "Created (UTC)"):
        table.add_column(name, no_wrap=True)
    for name in ("Status", "Model", "Task"):
        table.add_column(name, overflow="fold")
    for name in ("Step", "Accuracy", "Gained so far"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Name, tags", overflow="fold")
    for run in runs:
        last = run.looks[-1] if run.looks else None
        step = f"{last.step if last is not None else 0} / {run.steps}"
        gained = points(last.value - run.request.baseline.accuracy) if last is not None else ""
        texts = (run.id, when(run.created_at), run.status, escape(run.model), escape(run.task))
        accuracy = percent(last.value) if last is not None else ""
        table.add_row(*texts, step, accuracy, gained, escape(label(run)))
    print_table(console, table)
