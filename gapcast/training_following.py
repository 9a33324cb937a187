"""Following training runs in a terminal: a bar a run where somebody watches, lines where nobody does."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from gapcast.client import Client
from gapcast.models import Estimate, Event, Gap, TrainingRun
from gapcast.wording import curve, duration, estimated, percent, points

MOST_BLOCKS = 12
"""of a curve beside a bar: a line of 80 characters holds both"""
DOING = {
    "baseline": "measuring baseline and gap",
    "training": "training",
    "evaluation": "evaluating",
    "export": "writing the model",
}
"""by phase"""
HAPPENED = {
    "job.started": "loading the model",
    "job.retrying": "the attempt was lost; it goes on from the last checkpoint",
    "job.handed_back": "the worker stopped; waiting for another",
    "job.pause_requested": "pausing after this step",
    "job.cancel_requested": "cancelling",
    "job.paused": "paused; gapcast runs resume {id}",
    "job.resumed": "waiting for a worker",
    "training.resumed": "going on from its checkpoint",
}
"""by the event's type; none of the rest changes what a run does"""
ASKED = frozenset(HAPPENED[f"job.{what}_requested"] for what in ("pause", "cancel"))
"""what a run still does while the step that it is at goes on"""


def follow_runs(client: Client, runs: Sequence[TrainingRun], console: Console) -> list[TrainingRun]:
    """Show the progress of runs until all have ended, and return them as they ended."""
    watch_runs(client.follow_training_runs([one.id for one in runs if not one.ended]), runs, console)
    return [client.get_training_run(one.id) for one in runs]


def watch_runs(events: Iterable[tuple[str, Event]], runs: Sequence[TrainingRun], console: Console) -> None:
    """Show events of runs until there are no more."""
    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[more]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        followed = {one.id: Followed(one, progress, named=len(runs) > 1) for one in runs if not one.ended}
        for run_id, event in events:
            followed[run_id].take(event)
        for one in followed.values():
            progress.update(one.bar, visible=False)


class Followed:
    """What is known of one run, and how it is told."""

    def __init__(self, run: TrainingRun, progress: Progress, *, named: bool) -> None:
        self._id, self._progress = run.id, progress
        self._name = f"seed {run.seed}  " if named else ""
        self._doing = self._told = self._loss = ""
        self._accuracies: dict[int, float] = {}
        self._tenth = -1
        self._first: tuple[int, datetime] | None = None
        self.bar = progress.add_task("", total=None, more="")
        self._now("waiting for a worker")

    def take(self, event: Event) -> None:
        """Tell what an event says."""
        data = event.data
        if event.type == "training.progress":
            self._step(data)
        elif event.type == "training.metrics":
            self._metrics(data, datetime.fromisoformat(event.created_at))
        elif event.type == "training.gap":
            self._gap(data)
        elif event.type == "training.evaluated":
            self._evaluated(data)
        elif event.type == "training.warning":
            self._say(f"[yellow]Warning[/] ({data['code']}): {escape(data['message'])}")
        elif event.type in HAPPENED:
            self._first = None  # the time that a run waits is not what its steps take
            self._now(HAPPENED[event.type].format(id=self._id))

    def _now(self, doing: str, *, tell: bool = True) -> None:
        """Show what a run does; in a pipe `tell` it where it is something else than what was told before."""
        self._doing = doing
        self._show()
        if tell and doing != self._told:
            self._told = doing
            if not self._progress.console.is_terminal:
                self._say(doing)

    def _show(self) -> None:
        accuracies = list(self._accuracies.values())
        draws = len(accuracies) > 1 and not self._progress.console.options.ascii_only
        drawn = f"  {curve(accuracies, MOST_BLOCKS)}" if draws else ""
        self._progress.update(self.bar, description=f"{self._name}{self._doing}{self._loss}{drawn}")

    def _say(self, line: str) -> None:
        self._progress.console.print(f"  {self._name}{line}", highlight=False, soft_wrap=True)

    def _step(self, data: dict[str, Any]) -> None:
        done, total = data["done"], data["total"]
        self._progress.update(self.bar, completed=done, total=total)
        if self._doing not in ASKED:
            # what an evaluation finds is told when it is done
            self._now(DOING.get(data["phase"], data["phase"]), tell=data["phase"] != "evaluation")
        tenth = 10 * done // total
        if data["phase"] == "training" and tenth > self._tenth and done:
            self._tenth = tenth
            if not self._progress.console.is_terminal:
                self._say(f"step {done} of {total}{self._loss}")

    def _metrics(self, data: dict[str, Any], at: datetime) -> None:
        loss = "no context, no loss" if data["loss"] is None else f"loss {data['loss']:.3g}"
        self._loss = f"  {loss}, score {percent(data['score'])}"
        step, task = data["step"], self._progress.tasks[self.bar]
        if self._first is None or step <= self._first[0]:
            self._first = (step, at)
        elif task.total:
            each = (at - self._first[1]).total_seconds() / (step - self._first[0])
            self._progress.update(self.bar, more=f"about {duration(each * (task.total - step))} left")
        self._show()

    def _gap(self, data: dict[str, Any]) -> None:
        self._accuracies[0] = data["baseline"]
        self._say(f"baseline {percent(data['baseline'])}, gap {estimated(Gap.model_validate(data['gap']))}")

    def _evaluated(self, data: dict[str, Any]) -> None:
        self._accuracies[data["step"]] = data["accuracy"]
        gained = _brief(Estimate.model_validate(data["improvement"]))
        held_out = data.get("held_out")
        besides = f", held out {_brief(Estimate.model_validate(held_out))}" if held_out is not None else ""
        self._say(f"step {data['step']}: accuracy {percent(data['accuracy'])}, improvement {gained}{besides} points")
        self._show()


def _brief(estimate: Estimate) -> str:
    return f"{points(estimate.value)} ± {100 * estimate.se:.1f}"
