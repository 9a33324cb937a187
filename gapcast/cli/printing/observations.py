"""Observations for people: what became of an import, and a list."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast import described
from gapcast.cli.terminal import print_panel, print_table
from gapcast.models import Batch, Observation
from gapcast.words import count, measured, run_name, shortened

SOURCES = {"given": "given", "counts": "made from counts", "assumed": "assumed"}


def print_batch(console: Console, batch: Batch) -> None:
    """Print what was stored, where the standard errors come from, each warning, and what is refitted."""
    existing = f"; {batch.existing} existed already" if batch.existing else ""
    console.print(f"Stored {count(batch.created, 'observation')}{existing}.", highlight=False)
    for part in ("gap", "improvement"):
        found = batch.variance.get(part, {})
        said = [f"{found[source]} {SOURCES.get(source, source)}" for source in (*SOURCES, *found) if source in found]
        console.print(f"Standard errors, {part}: {', '.join(dict.fromkeys(said)) or 'none'}", highlight=False)
    if batch.unused:
        console.print(f"Columns that were not read: {escape(shortened(batch.unused))}", highlight=False, soft_wrap=True)
    for warned in batch.warnings:
        rows = ", ".join(map(str, warned.rows))
        more = ", ..." if len(warned.rows) == 20 else ""
        which = f" Rows: {rows}{more}" if rows else ""
        text = f"[yellow]Warning[/] ({warned.code}): {escape(warned.message)}{which}"
        console.print(text, highlight=False, soft_wrap=True)
    if batch.pools:
        console.print(f"Refitted now: the law of {', '.join(map(escape, batch.pools))}", highlight=False)
    else:
        console.print("No pool has changed; no law is refitted.", highlight=False)


def print_observations(console: Console, observations: list[Observation]) -> None:
    """Print observations as a table, gaps and improvements in accuracy points."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Observation", "Pool", "Family", "Model", "Task", "Context"):
        table.add_column(name, no_wrap=name == "Observation", overflow="fold")
    for name in ("Gap ± SE", "Improvement ± SE", "Held out ± SE"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("Name", "Remarks"):
        table.add_column(name, overflow="fold")
    for one in observations:
        texts = (one.pool, one.family, one.model, one.task, one.context_kind)
        numbers = (
            measured(one.gap),
            *("" if gain is None else measured(gain) for gain in (one.improvement, one.held_out)),
        )
        last = (run_name(one.name, one.external_id), described.remarks(one))
        table.add_row(one.id, *map(escape, texts), *numbers, *map(escape, last))
    print_table(console, table)


def print_observation(console: Console, one: Observation) -> None:
    """Print one observation, its figures in accuracy points."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in described.observation(one):
        table.add_row(name, escape(text))
    print_panel(console, table, one.id)
