"""Following a measurement in a terminal: a bar where somebody watches, lines where nobody does."""

from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gapcast.client import Client
from gapcast.contract.events import ProbeProgress, content_of
from gapcast.models import Event, Prediction, Probe
from gapcast.words import HAPPENED, STATES, so_far

SAMPLING = "sampling rollouts"


def follow(client: Client, prediction: Prediction, console: Console) -> Prediction:
    """Show a prediction's progress until it has ended, and return it as it ended."""
    if prediction.ended:
        return prediction
    watch(client.events(prediction.id), console)
    return client.get_prediction(prediction.id)


def follow_probe(client: Client, probe: Probe, console: Console) -> Probe:
    """Show a probe's progress until it has ended, and return it as it ended."""
    if probe.ended:
        return probe
    watch(client.probe_events(probe.id), console)
    return client.get_probe(probe.id)


def watch(events: Iterable[Event], console: Console) -> None:
    """Show events until there are no more."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = -1
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(STATES["queued"], total=None)
        if not console.is_terminal:
            console.print(f"  {STATES['queued']}")
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
