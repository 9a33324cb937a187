"""Following a measurement in a terminal: a bar where somebody watches, lines where nobody does."""

import os
from collections.abc import Iterable, Sequence
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from gapcast.cli.exits import Exit
from gapcast.cli.terminal import say
from gapcast.client import DEFAULT_URL, Client
from gapcast.contract.events import ProbeProgress, content_of
from gapcast.contract.waiting import Waiting
from gapcast.models import Event, Prediction, Probe
from gapcast.words import HAPPENED, STATES, count, duration, so_far, waits

SAMPLING = "sampling rollouts"


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


def watch(events: Iterable[Event], console: Console, waiting: Waiting | None = None) -> None:
    """Show why a measurement waits, and events until there are no more."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), _Pace())
    shown = -1
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(STATES["queued"], total=None)
        why = waits(waiting)
        if not console.is_terminal or why != STATES["queued"]:
            console.print(f"  {why}", highlight=False, soft_wrap=True)
        for event in events:
            far = content_of(event, ProbeProgress)
            if far is not None:
                done, total = far.done, far.total
                known = so_far(far)
                progress.update(bar, description=known or SAMPLING, completed=done, total=total)
                tenth = 10 * done // total
                if not console.is_terminal and tenth > shown:
                    shown = tenth
                    doing = f"{SAMPLING} ({known})" if known else SAMPLING
                    console.print(f"  {doing}: {done} of {total} {far.unit}", highlight=False, soft_wrap=True)
            elif event.type in HAPPENED:
                progress.update(bar, description=HAPPENED[event.type])
                if not console.is_terminal:
                    console.print(f"  {HAPPENED[event.type]}", highlight=False)
        progress.update(bar, visible=False)


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
