"""Following a comparison in a terminal: a table that is drawn anew, or a line a round where nobody watches."""

from collections.abc import Iterable
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from gapcast.cli.printing.comparisons import round_table
from gapcast.client import Client
from gapcast.contract.comparisons import Round
from gapcast.contract.events import ComparisonProgressed, ComparisonRound, content_of
from gapcast.models import Comparison, Event
from gapcast.words import HAPPENED, STATES, count, duration, points, probability

BESIDES = 5
"""lines of a terminal that the table leaves free: its heading, the line below it and the prompt"""


def follow_comparison(client: Client, comparison: Comparison, console: Console) -> Comparison:
    """Show a comparison's progress until it has ended, and return it as it ended."""
    if comparison.ended:
        return comparison
    watch_comparison(client.comparisons.events(comparison.id), comparison, console)
    return client.comparisons.get(comparison.id)


def watch_comparison(events: Iterable[Event], comparison: Comparison, console: Console) -> None:
    """Show events of a comparison until there are no more."""
    followed = Followed(comparison, console)
    if not console.is_terminal:
        for event in events:
            followed.take(event)
        return
    with Live(followed.drawn(), console=console, transient=True) as live:
        for event in events:
            followed.take(event)
            live.update(followed.drawn())


class Followed:
    """The state of a comparison, and how it is shown."""

    def __init__(self, comparison: Comparison, console: Console) -> None:
        self._console = console
        by_place = sorted(comparison.configurations, key=lambda one: one.place)
        self._names = [one.name for one in by_place]
        self._round: Round | None = None
        self._progress: ComparisonProgressed | None = None
        self._first: tuple[int, datetime] | None = None
        self._seconds_left: float | None = None
        self._doing = ""
        self._do(STATES["queued"])

    def take(self, event: Event) -> None:
        """Take in what an event says; without a terminal, print it."""
        if after := content_of(event, ComparisonRound):
            self._ended(after)
        elif progress := content_of(event, ComparisonProgressed):
            self._go(progress, datetime.fromisoformat(event.created_at))
        elif event.type in HAPPENED:
            self._first = self._progress = None  # the time that it waits is not what rollouts take
            self._do(HAPPENED[event.type])

    def drawn(self) -> Group:
        """Return the table and the line below it."""
        most = max(3, self._console.height - BESIDES)
        draws = not self._console.options.ascii_only
        return Group(round_table(self._names, self._round, most, draws=draws), Text(self._line()))

    def _ended(self, after: Round) -> None:
        if self._round is not None and after.number <= self._round.number:
            return  # told again, after a lost worker
        self._round = after
        best = next(one for one in after.standings if one.place == after.leader)
        gone = sum(one.eliminated for one in after.standings)
        ahead = f"{self._names[after.leader]} {points(best.value or 0.0)} points, P(best) {probability(best.p_best)}"
        self._say(f"round {after.number}: {count(after.rollouts, 'rollout')}; {ahead}; {gone} eliminated")

    def _go(self, progress: ComparisonProgressed, at: datetime) -> None:
        before = self._progress
        if before is None or before.of_second_probe != progress.of_second_probe:
            self._first = (progress.done, at)
        if progress.of_second_probe and self._round is not None:
            self._do(f"probing {self._names[self._round.leader]} once more, with fresh samples")
        else:
            self._do(f"round {progress.round}: sampling rollouts", tell=False)
        self._progress, self._seconds_left = progress, None
        if self._first is not None and progress.done > self._first[0]:
            each = (at - self._first[1]).total_seconds() / (progress.done - self._first[0])
            self._seconds_left = each * (progress.total - progress.done)

    def _do(self, doing: str, *, tell: bool = True) -> None:
        if tell and doing != self._doing:
            self._say(doing)
        self._doing = doing

    def _say(self, line: str) -> None:
        if not self._console.is_terminal:
            self._console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)

    def _line(self) -> str:
        progress = self._progress
        if progress is None:
            return self._doing
        most = "" if progress.of_second_probe else "at most "
        far = f"{progress.done:,} of {most}{count(progress.total, progress.unit.removesuffix('s'))}"
        left = f"; {most}{duration(self._seconds_left)} left" if self._seconds_left else ""
        return f"{self._doing}, {far}{left}"
