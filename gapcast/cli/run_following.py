"""Following training runs in a terminal: a bar a run where somebody watches, lines where nobody does."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from gapcast.client import Client
from gapcast.contract.events import (
    JobPaused,
    TrainingEvaluated,
    TrainingForecast,
    TrainingGap,
    TrainingMetrics,
    TrainingProgress,
    TrainingStop,
    TrainingWarning,
    content_of,
)
from gapcast.models import Event, TrainingRun
from gapcast.words import (
    ASKED,
    HAPPENED,
    HELD,
    PHASES,
    STATES,
    curve,
    duration,
    early_stop,
    estimated,
    measured,
    on_track,
    percent,
    waits,
    warning,
)

MOST_BLOCKS = 12
"""of a curve beside a bar: a line of 80 characters holds both"""


def follow_runs(client: Client, runs: Sequence[TrainingRun], console: Console) -> list[TrainingRun]:
    """Show the progress of runs until none goes on by itself, and return them as they are then."""
    # the answer to several seeds is a list, and lists do not say why a run waits
    known = [client.training_runs.get(one.id) if one.status == "queued" and len(runs) > 1 else one for one in runs]
    watch_runs(client.training_runs.follow([one.id for one in known if not one.rests]), known, console)
    return [client.training_runs.get(one.id) for one in runs]


def watch_runs(events: Iterable[tuple[str, Event]], runs: Sequence[TrainingRun], console: Console) -> None:
    """Show events of runs until there are no more."""
    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[more]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        followed = {one.id: Followed(one, progress, named=len(runs) > 1) for one in runs if not one.rests}
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
        self._tenth = self._forecast_at = -1
        self._first: tuple[int, datetime] | None = None
        self.bar = progress.add_task("", total=None, more="")
        why = waits(run.waiting)
        self._now(STATES["queued"], tell=False)
        if not progress.console.is_terminal or why != STATES["queued"]:
            self._say(why)
        self._told = why

    def take(self, event: Event) -> None:
        """Tell what an event says."""
        if progress := content_of(event, TrainingProgress):
            self._step(progress)
        elif metrics := content_of(event, TrainingMetrics):
            self._metrics(metrics, datetime.fromisoformat(event.created_at))
        elif begun := content_of(event, TrainingGap):
            self._gap(begun)
        elif evaluated := content_of(event, TrainingEvaluated):
            self._evaluated(evaluated)
        elif forecast := content_of(event, TrainingForecast):
            self._forecast(forecast)
        elif stop := content_of(event, TrainingStop):
            self._say(f"[yellow]Stop[/] {early_stop(stop)}")
        elif warned := content_of(event, TrainingWarning):
            self._say(f"[yellow]Warning[/] ({warned.code}): {escape(warning(warned))}")
        elif event.type in ASKED or event.type in HAPPENED:
            self._first = None  # the time that a run waits is not what its steps take
            paused = content_of(event, JobPaused)
            why = f", as {HELD[paused.held]}" if paused is not None and paused.held is not None else ""
            then = f"; gapcast runs resume {self._id}" if paused is not None else ""
            self._now(f"{(ASKED | HAPPENED)[event.type]}{why}{then}")

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

    def _step(self, progress: TrainingProgress) -> None:
        done, total, phase = progress.done, progress.total, progress.phase
        self._progress.update(self.bar, completed=done, total=total)
        if self._doing not in ASKED.values():
            # what an evaluation finds is told when it is done
            self._now(PHASES[phase], tell=phase != "evaluation")
        tenth = 10 * done // total
        if phase == "training" and tenth > self._tenth and done:
            self._tenth = tenth
            if not self._progress.console.is_terminal:
                self._say(f"step {done} of {total}{self._loss}")

    def _metrics(self, metrics: TrainingMetrics, at: datetime) -> None:
        loss = "no context, no loss" if metrics.loss is None else f"loss {metrics.loss:.3g}"
        self._loss = f"  {loss}, score {percent(metrics.score)}"
        step, task = metrics.step, self._progress.tasks[self.bar]
        if self._first is None or step <= self._first[0]:
            self._first = (step, at)
        elif task.total:
            each = (at - self._first[1]).total_seconds() / (step - self._first[0])
            self._progress.update(self.bar, more=f"about {duration(each * (task.total - step))} left")
        self._show()

    def _gap(self, begun: TrainingGap) -> None:
        self._accuracies[0] = begun.baseline
        self._say(f"baseline {percent(begun.baseline)}, gap {estimated(begun.gap)}")

    def _forecast(self, forecast: TrainingForecast) -> None:
        """Tell it once for each evaluation: between two of them the run's own rollouts move it little."""
        if forecast.now.step == self._forecast_at:
            return
        self._forecast_at = forecast.now.step
        self._say(on_track(forecast))

    def _evaluated(self, seen: TrainingEvaluated) -> None:
        self._accuracies[seen.step] = seen.accuracy
        besides = f", held out {measured(seen.held_out)}" if seen.held_out is not None else ""
        gained = f"improvement {measured(seen.improvement)}{besides} points"
        self._say(f"step {seen.step}: accuracy {percent(seen.accuracy)}, {gained}")
        self._show()
