"""Several predictions as one table, the best first."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.printing.predictions import COLOURS
from gapcast.cli.terminal import print_table
from gapcast.contract.predictions import Improvement, Interval
from gapcast.models import Prediction
from gapcast.words import POINTS, between, context, count, level, measured, points, probability, verdict

LEVELS = (0.8, 0.95)
"""of the intervals that are shown, as long as a terminal has the room"""

Titled = tuple[str, Prediction]
"""A prediction and what its configuration is called."""


def print_batch(console: Console, predictions: Sequence[Prediction], titles: Sequence[str]) -> None:
    """Print ended predictions as a table by their predicted improvements, then why others have none."""
    ranked = sorted(zip(titles, predictions, strict=True), key=_rank)
    table = _table(ranked, LEVELS)
    if console.is_terminal and Console(width=10_000).measure(table).maximum > console.width:
        table = _table(ranked, LEVELS[:1])
    print_table(console, table)
    console.print(f"Gaps and improvements in {POINTS}, on the training problems.", highlight=False)
    for title, one in ranked:
        if one.status != "succeeded":
            message = one.error.message if one.error is not None else "no result"
            console.print(f"[red]{one.status}[/] {escape(title)}: {escape(message)}", highlight=False, soft_wrap=True)
    warned = sum(bool(one.warnings) for one in predictions)
    if warned:
        say = f"{count(warned, 'prediction')} with warnings; gapcast predictions show PREDICTION prints them."
        console.print(f"[yellow]Warning[/]: {say}", highlight=False, soft_wrap=True)


def _rank(titled: Titled) -> tuple[bool, float]:
    found = titled[1].improvement
    return (True, 0.0) if found is None or found.value is None else (False, -found.value)


def _table(ranked: Sequence[Titled], levels: Sequence[float]) -> Table:
    several_tasks = len({one.request.task for _, one in ranked}) > 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Configuration", "Model", *(["Task"] if several_tasks else []), "Context"):
        table.add_column(name, no_wrap=True)
    for name in ("Gap ± SE", "Improvement", *(f"{level(one)} interval" for one in levels), "P(> 0)"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("Verdict", "Prediction"):
        table.add_column(name, no_wrap=True)
    for title, one in ranked:
        asked = one.request
        texts = (title, asked.model.name, *([asked.task] if several_tasks else []), context(asked.context))
        gap = measured(one.gap) if one.gap is not None else ""
        table.add_row(*map(escape, texts), gap, *_figures(one.improvement, levels), _verdict(one), one.id)
    return table


def _figures(found: Improvement | None, levels: Sequence[float]) -> list[str]:
    """Write an improvement, its intervals and the probability that it is one."""
    if found is None or found.value is None:
        return [""] * (len(levels) + 2)
    ends = [interval(found, one) for one in levels]
    written = ["" if one is None else between(one.lower, one.upper) for one in ends]
    return [points(found.value), *written, "" if found.p_positive is None else probability(found.p_positive)]


def interval(found: Improvement, of: float) -> Interval | None:
    """Return the interval of a level: one that was asked for, else from the stored quantiles; None if neither has it.

    Args:
        found: a predicted improvement.
        of: the level, between 0 and 1.
    """
    asked = next((one for one in found.intervals if abs(one.level - of) < 1e-9), None)
    if asked is not None or found.quantiles is None:
        return asked
    at = zip(found.quantiles.probabilities, found.quantiles.values, strict=True)
    quantiles = {round(probability, 9): value for probability, value in at}
    low, high = round((1 - of) / 2, 9), round((1 + of) / 2, 9)
    if low not in quantiles or high not in quantiles:
        return None
    return Interval(level=of, lower=quantiles[low], upper=quantiles[high])


def _verdict(one: Prediction) -> str:
    if one.verdict is None:
        return f"[red]{one.status}[/]"
    return f"[{COLOURS.get(one.verdict, 'white')}]{verdict(one.verdict, one.request.min_gain).name}[/]"
