"""Comparisons for people: what to train and why, and how every configuration stands."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.printing.lists import label
from gapcast.cli.printing.predictions import COLOURS
from gapcast.cli.terminal import print_table
from gapcast.comparison_words import advised, ended, probed_again, stands
from gapcast.contract.comparisons import COMPARED_AT, Round, Standing
from gapcast.contract.predictions import Interval
from gapcast.models import Comparison
from gapcast.words import (
    POINTS,
    STATES,
    between,
    count,
    duration,
    gpu_hours,
    level,
    listed,
    plain_points,
    points,
    probability,
    verdict,
    warning,
    when,
)

BAR = 20
"""characters of an interval's bar"""
LONGEST = 32
"""characters of a configuration's name beside a bar"""
OPTIONAL = ("Points an hour", "Loss", "Gap", "Run", "Prediction", "Problems")
"""Columns that a narrow terminal goes without, in the order in which they are left out."""
STANDING_COLOURS = {"best": "green", "eliminated": "dim"}


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print a comparison as far as it is known: the advice, every configuration, and what to know of the winner."""
    for line in _first_lines(comparison):
        console.print(line, highlight=False, soft_wrap=True)
    print_table(console, _fitting(console, comparison))
    for line in _last_lines(comparison):
        console.print(line, highlight=False, soft_wrap=True)


def _first_lines(comparison: Comparison) -> Iterator[str]:
    if label(comparison):
        yield escape(label(comparison))
    won = comparison.winner
    if won is not None:
        yield f"[bold {COLOURS.get(won.answer.verdict, 'white')}]{escape(advised(comparison))}[/]"
        yield ended(comparison)
        return
    message = f": {escape(comparison.error.message)}" if comparison.error is not None else ""
    yield f"[{'red' if comparison.ended else 'cyan'}]{STATES[comparison.status]}[/]{message}"


def _last_lines(comparison: Comparison) -> Iterator[str]:
    best, won = comparison.best, comparison.winner
    if best is None:
        return
    yield f"Gaps, improvements and losses in {POINTS}, on the training problems."
    if comparison.alike:
        alike = listed([escape(comparison.at(place).name) for place in comparison.alike])
        yield f"Cannot be told apart from {escape(best.name)}: {alike}."
    if won is not None:
        yield escape(probed_again(comparison))
        support = won.answer.support
        for lacking in support.missing if support is not None else ():
            yield f"[yellow]Missing[/] ({lacking.code}): {escape(lacking.message)}"
    for warned in [*comparison.warnings, *(won.answer.warnings if won is not None else ())]:
        yield f"[yellow]Warning[/] ({warned.code}): {escape(warning(warned))}"
    spent = comparison.spent
    again = f", and {spent.second_probe:,} of the second probe" if spent.second_probe else ""
    rounds = count(len(comparison.rounds), "round")
    drawn = f"{count(spent.rollouts, 'rollout')} in {rounds}{again}"
    yield f"{comparison.id}: {drawn}; {duration(spent.seconds)} of work{gpu_hours(spent.gpu_hours)}"


class _Column(NamedTuple):
    name: str
    right: bool
    cells: list[str]


def _fitting(console: Console, comparison: Comparison) -> Table:
    """Return the table of the configurations, in a terminal without the columns that it has no room for."""
    columns = _columns(comparison)
    table = _table(columns)
    for name in OPTIONAL:
        if not console.is_terminal or Console(width=10_000).measure(table).maximum <= console.width:
            break
        columns = [one for one in columns if one.name != name]
        table = _table(columns)
    return table


def _columns(comparison: Comparison) -> list[_Column]:
    rows = comparison.configurations
    after = comparison.rounds[-1] if comparison.rounds else None
    known = [one.standing for one in rows]
    answers = [comparison.answer_of(one) for one in rows]
    seconds = [one.cost.training_seconds_estimate if one is not None else None for one in answers]
    columns = [
        _Column("", True, [str(rank) for rank in range(1, len(rows) + 1)]),
        _Column("Configuration", False, [escape(one.name) for one in rows]),
        _Column("Gap", True, ["" if one is None else _gap(one) for one in known]),
        _Column("Predicted", True, ["" if one is None else _predicted(one) for one in known]),
        _Column(f"{level(COMPARED_AT)} interval", True, ["" if one is None else _ends(one.interval) for one in known]),
        _Column("P(best)", True, ["" if one is None else probability(one.p_best) for one in known]),
        _Column("Loss", True, ["" if one is None else plain_points(one.loss) for one in known]),
        _Column("Problems", True, ["" if one is None else f"{one.problems:,}" for one in known]),
        _Column("Stands", False, ["" if one is None or after is None else _stands(one, after) for one in known]),
        _Column("Verdict", False, ["" if one is None else verdict(one.verdict, 0.0).name for one in answers]),
        _Column("Run", True, ["" if one is None else duration(one) for one in seconds]),
        _Column(
            "Points an hour", True, ["" if one.gain_per_hour is None else points(one.gain_per_hour) for one in rows]
        ),
        _Column("Prediction", False, [comparison.prediction_of(one) or "" for one in rows]),
    ]
    if comparison.request.pick > 1:
        picked = ["" if one is None else probability(one.p_picked) for one in known]
        columns.insert(6, _Column("P(picked)", True, picked))
    return [one for one in columns if any(one.cells)]


def _table(columns: Sequence[_Column]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for one in columns:
        table.add_column(one.name, justify="right" if one.right else "left", no_wrap=True)
    for cells in zip(*(one.cells for one in columns), strict=True):
        table.add_row(*cells)
    return table


def _gap(one: Standing) -> str:
    return "" if one.gap is None else f"{points(one.gap)} ± {plain_points(one.gap_se or 0.0)}"


def _predicted(one: Standing) -> str:
    return "" if one.value is None else points(one.value)


def _ends(one: Interval | None) -> str:
    return "" if one is None else between(one.lower, one.upper)


def _stands(one: Standing, after: Round) -> str:
    said = stands(one, after)
    colour = STANDING_COLOURS.get(said)
    return said if colour is None else f"[{colour}]{said}[/]"


def round_table(names: Sequence[str], after: Round | None, most: int, *, draws: bool) -> Table:
    """Return how configurations stand after a round, the best first, with their intervals as bars on one scale.

    Args:
        names: of the configurations, by place.
        after: the newest round; None before the first has ended.
        most: rows.
        draws: True if the terminal shows lines and dots; else the bars are of plain characters.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    shown = sorted(after.standings, key=lambda one: _rank(one, after)) if after is not None else []
    ends = [end for one in shown if one.interval is not None for end in (one.interval.lower, one.interval.upper)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
    table.add_column("", justify="right")
    table.add_column("Configuration", no_wrap=True, max_width=LONGEST)
    table.add_column("Predicted", justify="right", no_wrap=True)
    table.add_column(f"{points(low):<{BAR // 2}}{points(high):>{BAR // 2}}" if ends else "", no_wrap=True)
    for name in ("P(best)", "Problems"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    if after is None:
        for name in names[:most]:
            table.add_row("", escape(name))
    for rank, one in enumerate(shown[:most], start=1):
        drawn = bar(one, low, high, draws=draws)
        figures = (_predicted(one), drawn, probability(one.p_best), f"{one.problems:,}")
        table.add_row(str(rank), escape(names[one.place]), *figures, _stands(one, after) if after is not None else "")
    if len(names) > most:
        table.add_row("", f"and {len(names) - most} more")
    return table


def _rank(one: Standing, after: Round) -> tuple[bool, bool, float, float]:
    return one.place != after.leader, one.eliminated, -one.p_best, -(one.value or 0.0)


def bar(one: Standing, low: float, high: float, *, draws: bool) -> str:
    """Draw a configuration's interval and its middle on a scale from `low` to `high`."""
    if one.interval is None or one.value is None or high <= low:
        return ""
    first, middle, last = (
        round((BAR - 1) * (end - low) / (high - low)) for end in (one.interval.lower, one.value, one.interval.upper)
    )
    line, dot = "─●" if draws else "-o"
    return "".join(dot if at == middle else line if first <= at <= last else " " for at in range(BAR))


def print_comparisons(console: Console, comparisons: Sequence[Comparison]) -> None:
    """Print comparisons as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Comparison", "Created (UTC)", "Task", "Best"):
        table.add_column(name, no_wrap=True)
    for name in ("Of", "Predicted", "P(best)", "Rollouts"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("Status", "Name, tags"):
        table.add_column(name, overflow="fold")
    for one in comparisons:
        best, won = one.best, one.winner
        standing = best.standing if best is not None else None
        value = won.answer.improvement.value if won is not None else standing.value if standing is not None else None
        figures = (
            str(len(one.configurations)),
            points(value) if value is not None else "",
            probability(standing.p_best) if standing is not None else "",
            f"{one.spent.rollouts:,}",
        )
        task, name = one.configurations[0].request.task, best.name if best is not None else ""
        table.add_row(
            one.id, when(one.created_at), escape(task), escape(name), *figures, one.status, escape(label(one))
        )
    print_table(console, table)
