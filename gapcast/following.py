"""Following a prediction in a terminal: a bar where somebody watches, lines where nobody does."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gapcast.client import Client
from gapcast.models import Prediction

PHASES = {
    "job.started": "measuring the gap: loading the model",
    "job.retrying": "the attempt was lost; trying again",
    "job.handed_back": "the worker stopped; waiting for another",
}


def follow(client: Client, prediction: Prediction, console: Console) -> Prediction:
    """Show a prediction's progress until it has ended, and return it as it ended."""
    if prediction.ended:
        return prediction
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = -1
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("waiting for a worker", total=None)
        if not console.is_terminal:
            console.print("  waiting for a worker")
        for event in client.events(prediction.id):
            if event.type == "probe.progress":
                done, total = event.data["done"], event.data["total"]
                arm = f"sampling rollouts ({event.data['arm']})"
                progress.update(bar, description=arm, completed=done, total=total)
                tenth = 10 * done // total
                if not console.is_terminal and tenth > shown:
                    shown = tenth
                    console.print(f"  {arm}: {done} of {total} {event.data['unit']}", highlight=False)
            elif event.type in PHASES:
                progress.update(bar, description=PHASES[event.type])
                if not console.is_terminal:
                    console.print(f"  {PHASES[event.type]}", highlight=False)
        progress.update(bar, visible=False)
    return client.get_prediction(prediction.id)
