import io
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from gapcast.cli.run_following import watch_runs
from gapcast.contract.base import Failure
from gapcast.contract.events import (
    EventData,
    JobPaused,
    JobPauseRequested,
    JobResumed,
    JobRetrying,
    JobStarted,
    JobSucceeded,
    TrainingCheckpoint,
    TrainingEvaluated,
    TrainingForecast,
    TrainingGap,
    TrainingProgress,
    TrainingResumed,
    TrainingStop,
    TrainingWarning,
)
from gapcast.contract.forecasts import KnownCurves, PredictedBefore
from gapcast.contract.probes import Difference, Gap
from gapcast.contract.training_results import Phase
from gapcast.models import Event, TrainingRun
from tests.support.product import eventually
from tests.support.training_results import forecast_at, training_metrics, training_run

GAP = Gap(value=0.143, se=0.029, student=0.252, self_teacher=0.395, problems=128, rollouts=4)

LOST = Failure(code="worker_lost", message="m", category="server")


def run_of(name: str, seed: int, status: str = "queued") -> TrainingRun:
    return training_run(id=name, seed=seed, status=status)


class Happening:
    """Events of one run, each a second after the one before."""

    def __init__(self, run_id: str = "run_1") -> None:
        self._id, self._numbers = run_id, itertools.count(1)

    def __call__(self, data: EventData) -> tuple[str, Event]:
        number = next(self._numbers)
        at = f"2026-11-25T10:{number // 60:02}:{number % 60:02}Z"
        return self._id, Event(id=str(number), type=data.type, data=data.written(), created_at=at)

    def progress(self, done: int, total: int, phase: Phase) -> tuple[str, Event]:
        return self(TrainingProgress(done=done, total=total, unit="steps", phase=phase))

    def steps(self, first: int, last: int, total: int) -> list[tuple[str, Event]]:
        return [one for step in range(first, last + 1) for one in self.step(step, total)]

    def step(self, step: int, total: int, **more: Any) -> list[tuple[str, Event]]:
        return [self(training_metrics(step, **more)), self.progress(step, total, "training")]

    def evaluated(self, step: int, accuracy: float, held_out: Difference | None = None) -> tuple[str, Event]:
        gained = Difference(value=accuracy - GAP.student, se=0.029)
        return self(TrainingEvaluated(step=step, accuracy=accuracy, improvement=gained, held_out=held_out))


@pytest.fixture
def happens() -> Happening:
    return Happening()


def told(events: list[tuple[str, Event]], *runs: TrainingRun) -> str:
    """What a pipe is told."""
    out = io.StringIO()
    watch_runs(events, runs or [run_of("run_1", 0)], Console(file=out, width=200))
    return out.getvalue()


def shown(events: list[tuple[str, Event]], words: str) -> bool:
    """Whether a terminal shows the words when all of this has happened; bars are drawn ten times a second."""
    out = io.StringIO()

    def happening() -> Iterator[tuple[str, Event]]:
        yield from events
        eventually(lambda: words in out.getvalue())

    console = Console(file=out, width=200, force_terminal=True, color_system=None)
    watch_runs(happening(), [run_of("run_1", 0)], console)
    return True


def test_where_nobody_watches_a_run_is_told_in_lines(happens: Happening) -> None:
    text = told(
        [
            happens(JobStarted(attempt=1, worker="w")),
            happens.progress(0, 20, "baseline"),
            happens(TrainingGap(baseline=0.252, gap=GAP)),
            *happens.steps(1, 2, 20),
            happens.progress(2, 20, "evaluation"),
            happens.evaluated(2, 0.382, Difference(value=0.02, se=0.03)),
            happens.progress(2, 20, "training"),
            happens(TrainingWarning(code="no_learning", message="nothing [was] learned")),
            happens(TrainingCheckpoint(step=2, path="p", bytes=1, sha256="s")),
            happens.progress(20, 20, "export"),
            happens(JobSucceeded(attempt=1)),
        ]
    )
    assert text.splitlines() == [
        "  waiting for a worker",
        "  loading the model",
        "  measuring baseline and gap",
        "  baseline 25.2 %, gap +14.3 ± 2.9 points (± 1 SE)",
        "  training",
        "  step 1 of 20  loss 0.25, score 30.0 %",
        "  step 2 of 20  loss 0.25, score 30.0 %",
        "  step 2: accuracy 38.2 %, improvement +13.0 ± 2.9, held out +2.0 ± 3.0 points",
        "  Warning (no_learning): Nothing [was] learned.",
        "  writing the model",
    ]


def test_a_long_run_is_told_ten_times(happens: Happening) -> None:
    lines = told(happens.steps(1, 1000, 1000)).splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["1", *(str(n) for n in range(100, 1001, 100))]


def test_seeds_are_told_apart() -> None:
    first, second = Happening("run_1"), Happening("run_2")
    events = [first.evaluated(1, 0.3), *second.step(1, 20), second.evaluated(1, 0.4)]
    lines = told(events, run_of("run_1", 4), run_of("run_2", 7)).splitlines()
    assert "  seed 4  step 1: accuracy 30.0 %, improvement +4.8 ± 2.9 points" in lines
    assert "  seed 7  step 1: accuracy 40.0 %, improvement +14.8 ± 2.9 points" in lines
    assert "  seed 7  step 1 of 20  loss 0.25, score 30.0 %" in lines


def test_one_that_has_ended_is_not_waited_for() -> None:
    assert told([], run_of("run_1", 4, "succeeded"), run_of("run_2", 7)) == "  seed 7  waiting for a worker\n"


def test_a_step_without_a_context_has_no_loss(happens: Happening) -> None:
    assert "step 1 of 20  no context, no loss, score 30.0 %" in told(happens.step(1, 20, loss=None))


def test_a_pause_says_how_to_go_on(happens: Happening) -> None:
    text = told(
        [
            *happens.step(3, 20),
            happens(JobPauseRequested()),
            *happens.step(4, 20),
            happens(JobPaused(attempt=1)),
            happens(JobResumed()),
            happens(JobStarted(attempt=2, worker="w")),
            happens(TrainingResumed(step=4)),
            *happens.step(5, 20),
        ]
    )
    assert text.splitlines()[3:] == [
        "  pausing after this step",
        "  step 4 of 20  loss 0.25, score 30.0 %",
        "  paused; gapcast runs resume run_1",
        "  waiting for a worker",
        "  loading the model",
        "  going on from its checkpoint",
        "  training",
    ]


def test_in_a_terminal_there_is_a_bar_with_the_time_left_and_a_curve(happens: Happening) -> None:
    events = [
        happens(TrainingGap(baseline=0.252, gap=GAP)),
        happens.evaluated(0, 0.252),
        *happens.steps(1, 1, 100),
        *happens.steps(2, 2, 100),
        happens.evaluated(2, 0.3),
        happens.evaluated(4, 0.28),
    ]
    assert shown(events, "training  loss 0.25, score 30.0 %  ▁█▅ ")
    assert shown(events, " 2/100 about 3 min left")  # 98 steps of 2 seconds


def test_the_time_of_a_pause_is_not_the_time_of_a_step(happens: Happening) -> None:
    before = happens.steps(1, 2, 100)
    waiting = [happens(JobRetrying(attempt=1, failures=1, error=LOST)) for _ in range(600)]
    events = [*before, *waiting, happens(JobStarted(attempt=2, worker="w")), *happens.steps(2, 3, 100)]
    assert shown(events, "3/100 about 3 min left")


def test_what_is_expected_is_told_once_for_each_evaluation(happens: Happening) -> None:
    before = PredictedBefore(prediction_id="pred_1", value=0.238, intervals=[])
    expected = [
        happens(TrainingForecast(now=forecast_at(step, 0.21), before=before, min_gain=0.0, curves=CURVES))
        for step in (15, 15, 30)
    ]
    lines = told(expected).splitlines()
    said = "  on track: +21.0 now expected, 80 % +15.0 to +27.0; predicted +23.8 before"
    assert lines == ["  waiting for a worker", said, said]


CURVES = KnownCurves(runs=36, cold=False)


def test_a_rule_says_why_it_stops_a_run_and_how_to_go_on(happens: Happening) -> None:
    stop = {
        "step": 45,
        "rule": "futility",
        "improvement": Difference(value=0.012, se=0.029),
        "p_above_min_gain": 0.021,
        "threshold": 0.05,
        "learnt": True,
        "min_gain": 0.05,
    }
    text = told(
        [
            happens(TrainingStop.model_validate(stop)),
            happens(TrainingStop.model_validate(stop | {"carried_out": False, "learnt": False})),
            happens(JobPaused(attempt=1, step=45, held="futility")),
        ]
    )
    learnt = (
        "at step 45: it will probably not gain enough, 2.1 % probability of more than +5.0 (threshold 5.0 %, learnt "
        "from finished runs); its own curve leads to +1.2 ± 2.9 points"
    )
    assert text.splitlines()[1:] == [
        f"  Stop {learnt}",
        f"  Stop {learnt.replace('learnt from finished runs', 'too few finished runs to learn one')}. It goes on: one "
        "such run in ten does, so that the rule can be checked",
        "  paused, as it will probably not gain enough; gapcast runs resume run_1",
    ]
