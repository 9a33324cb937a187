"""Tables of predictions, probes, pools, fits and workers."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.terminal import print_table
from gapcast.contract.labels import Labelled
from gapcast.models import FitSummary, Pool, Prediction, Probe, Worker
from gapcast.words import context, duration, labels, measured, offer, points, running_job, verdict, when


def label(of: Labelled) -> str:
    """Write the name and tags of anything that has them."""
    return labels(of.name, of.tags)


def print_predictions(console: Console, predictions: Sequence[Prediction]) -> None:
    """Print predictions as a table; the interval is the narrowest of those that each was asked for."""
    table = _table(
        ("Prediction", "Created (UTC)", "Model", "Task", "Context"),
        ("Gap ± SE", "Improvement (interval)"),
        ("Verdict", "Name, tags"),
    )
    for one in predictions:
        asked = one.request
        texts = (asked.model.name, asked.task, context(asked.context))
        numbers = (measured(one.gap) if one.gap else "", _improvement(one))
        end = verdict(one.verdict, asked.min_gain).name if one.verdict is not None else one.status
        table.add_row(one.id, when(one.created_at), *map(escape, texts), *numbers, end, escape(label(one)))
    print_table(console, table)


def print_probes(console: Console, probes: Sequence[Probe]) -> None:
    """Print probes as a table."""
    table = _table(("Probe", "Created (UTC)", "Model", "Task", "Context"), ("Gap ± SE",), ("Status", "Name, tags"))
    for one in probes:
        asked, result = one.configuration, one.result or one.partial
        texts = (asked.model, asked.task, context(asked.context))
        number = measured(result.gap) if result is not None else ""
        table.add_row(one.id, when(one.created_at), *map(escape, texts), number, one.status, escape(label(one)))
    print_table(console, table)


def print_pools(console: Console, pools: Iterable[Pool]) -> None:
    """Print pools as a table."""
    table = _table(("Pool",), ("Observations", "Changes"), ("Newest fit", "Changes since", "Borrows"))
    for one in pools:
        counts = str(one.observations), str(one.changes), one.fit_id or "none yet", str(one.behind)
        borrows = "read-only" if one.read_only else ", ".join(one.borrow)
        table.add_row(escape(one.name), *counts, escape(borrows))
    print_table(console, table)


def print_fits(console: Console, fits: Sequence[FitSummary]) -> None:
    """Print versions of laws as a table."""
    table = _table(("Fit", "Created (UTC)", "Pool"), ("Runs",), ())
    for one in fits:
        table.add_row(one.id, when(one.created_at), escape(one.pool), str(one.n))
    print_table(console, table)


def print_workers(console: Console, workers: Iterable[Worker]) -> None:
    """Print workers as a table."""
    table = _table(("Worker", "Has", "Queue"), ("Slots", "Queued"), ("Jobs", "Seen"))
    for one in workers:
        queues = [(queue.queue, str(queue.slots), str(queue.queued)) for queue in one.queues]
        jobs = "\n".join(running_job(job) for job in one.jobs) or "nothing"
        columns = ("\n".join(column) for column in zip(*queues, strict=True))
        table.add_row(escape(one.name), escape(offer(one)), *columns, escape(jobs), f"{duration(one.seen_seconds)} ago")
    print_table(console, table)


def _table(texts: Sequence[str], numbers: Sequence[str], last: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for name in last:
        table.add_column(name, overflow="fold")
    return table


def _improvement(prediction: Prediction) -> str:
    improvement = prediction.improvement
    if improvement is None or improvement.value is None:
        return ""
    narrowest = min(improvement.intervals, key=lambda one: one.level)
    return f"{points(improvement.value)} ({points(narrowest.lower)} to {points(narrowest.upper)})"
