"""Following a measurement in a terminal: a bar where somebody watches, lines where nobody does."""

import os
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from gapcast.cli.exits import Exit
from gapcast.cli.terminal import say
from gapcast.client import DEFAULT_URL, Client
from gapcast.contract.events import ProbeProgress, content_of
from gapcast.contract.waiting import Waiting
from gapcast.models import TERMINAL, Event, Prediction, Probe
from gapcast.words import HAPPENED, STATES, count, duration, pace, so_far, waits

SAMPLING = "sampling rollouts"
MANY, FEW = 10, 4
"""lines about the sampling of a lone measurement, and of each of several, where nobody watches"""
OF_A_PREDICTION = "prediction."
"""how the types of its own events begin"""


def follow(client: Client, prediction: Prediction, console: Console) -> Prediction:
    """Show a prediction's progress until it has ended, and return it as it ended."""
    if prediction.ended:
        return prediction
    watch(client.predictions.events(prediction.id), console, prediction.waiting)
    return client.predictions.get(prediction.id)


def follow_probe(client: Client, probe: Probe, console: Console) -> Probe:
    """Show a probe's progress until it has ended, and return it as it ended."""
    if probe.ended:
        return probe
    watch(client.probes.events(probe.id), console, probe.waiting)
    return client.probes.get(probe.id)


def follow_all(
    client: Client, predictions: Sequence[Prediction], titles: Sequence[str], console: Console
) -> list[Prediction]:
    """Show the progress of several predictions until all have ended, and return them as they ended."""
    going = {one.id: title for one, title in zip(predictions, titles, strict=True) if not one.ended}
    if going:
        waiting = {one.id: one.waiting for one in predictions}
        watch_all(client.predictions.follow([*going]), going, console, waiting)
    return [client.predictions.get(one.id) if one.id in going else one for one in predictions]


def watch(events: Iterable[Event], console: Console, waiting: Waiting | None = None) -> None:
    """Show why a measurement waits, and events until there are no more."""
    with _progress(console) as progress:
        followed = _Followed(progress, waiting=waiting)
        for event in events:
            followed.take(event)
        progress.update(followed.bar, visible=False)


def watch_all(
    events: Iterable[tuple[str, Event]],
    titles: Mapping[str, str],
    console: Console,
    waiting: Mapping[str, Waiting | None] = MappingProxyType({}),
) -> None:
    """Show why predictions wait, and their events until there are no more; titles and reasons are by their ids."""
    with _progress(console) as progress:
        all_of_them = progress.add_task(count(len(titles), "prediction"), total=len(titles))
        # a bar for each that a worker has begun: those that wait would fill the screen
        followed = {
            one: _Followed(progress, f"{title}: ", parts=FEW, visible=False, waiting=waiting.get(one))
            for one, title in titles.items()
        }
        for one, event in events:
            followed[one].take(event)
            if event.type.startswith(OF_A_PREDICTION) and event.type.removeprefix(OF_A_PREDICTION) in TERMINAL:
                followed[one].end(event.type.removeprefix(OF_A_PREDICTION))
                progress.advance(all_of_them)
        progress.update(all_of_them, visible=False)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), _Pace())
    return Progress(*columns, console=console, disable=not console.is_terminal)


class _Followed:
    """The state of one measurement, and how it is shown.

    Args:
        progress: where its bar goes.
        title: what its lines begin with.
        parts: how many lines tell of its sampling where nobody watches.
        visible: True if its bar is there before a worker begins.
        waiting: why it waits.
    """

    def __init__(
        self,
        progress: Progress,
        title: str = "",
        *,
        parts: int = MANY,
        visible: bool = True,
        waiting: Waiting | None = None,
    ) -> None:
        self._progress, self._parts, self._title = progress, parts, escape(title)
        self._shown = -1
        self.bar = progress.add_task(f"{self._title}{STATES['queued']}", total=None, visible=visible)
        why = waits(waiting)
        if not progress.console.is_terminal or (visible and why != STATES["queued"]):
            progress.console.print(f"  {self._title}{why}", highlight=False, soft_wrap=True)

    def take(self, event: Event) -> None:
        """Show what an event says."""
        far = content_of(event, ProbeProgress)
        if far is not None:
            done, total = far.done, far.total
            known = so_far(far)
            self._show(known or SAMPLING, completed=done, total=total)
            part = self._parts * done // total
            if part > self._shown:
                self._shown = part
                doing = f"{SAMPLING} ({known})" if known else SAMPLING
                left = pace(far)
                self._say(f"{doing}: {done} of {total} {far.unit}{f', {left}' if left else ''}")
        elif event.type in HAPPENED:
            self._show(HAPPENED[event.type])
            self._say(HAPPENED[event.type])

    def end(self, status: str) -> None:
        """Take its bar away, and say how it ended."""
        self._progress.update(self.bar, visible=False)
        self._say(STATES[status])

    def _show(self, doing: str, completed: int | None = None, total: int | None = None) -> None:
        text = f"{self._title}{doing}"
        self._progress.update(self.bar, description=text, completed=completed, total=total, visible=True)

    def _say(self, text: str) -> None:
        if not self._progress.console.is_terminal:
            self._progress.console.print(f"  {self._title}{text}", highlight=False, soft_wrap=True)


class _Pace(ProgressColumn):
    """How fast a measurement goes, and how long it still takes."""

    def render(self, task: Task) -> Text:
        """Write the rate of the last 30 seconds, and the time that is left at this rate."""
        left = task.time_remaining
        if not task.speed or left is None or task.finished:
            return Text("")
        return Text(f"{task.speed:.3g}/s, about {duration(left)} left")


def no_longer_following(group: str, ids: Sequence[str], url: str, actions: Sequence[str]) -> NoReturn:
    """After Ctrl-C, print how what goes on can be followed, paused and cancelled, and exit with 130.

    Args:
        group: the commands about it, such as `runs`.
        ids: what goes on.
        url: address of the server.
        actions: what can be done about it.
    """
    goes = f"{ids[0]}, which goes on" if len(ids) == 1 else f"{count(len(ids), 'run')}, which go on"
    say(f"\nNo longer following {goes}.")
    for action in actions:
        say(f"  {command(group, action, ' '.join(ids), url)}")
    raise typer.Exit(Exit.INTERRUPTED)


def command(group: str, action: str, name: str, url: str) -> str:
    """Return what to type to do something to a thing of this server."""
    usual = os.environ.get("GAPCAST_URL", DEFAULT_URL)
    return " ".join(["gapcast", group, action, *([name] if name else []), *([f"--url {url}"] if url != usual else [])])
