"""Runs that are forecast at their looks, stopped by a rule, or paused after a pilot."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from gapcast.contract.events import TrainingCheckpoint, TrainingForecast, TrainingMetrics, TrainingStop
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import EarlyStop, Held
from tests.support.training import Told, told_of
from tests.support.watching import stop_rule, watch_of
from workers.failures import Paused
from workers.opsd import run_training
from workers.opsd.watching import Watch
from workers.resources import Resources
from workers.watch.law import LawWatch, harmed

pytestmark = pytest.mark.slow

Configure = Callable[..., TrainingConfiguration]
Run = Callable[..., Told]

NOTHING = {"kind": "none"}
"""a context that teaches nothing: such a run stays where it is"""
SURE = stop_rule(0.999)
"""stops at the first look that it may"""
KEPT, STOPPED = 18, 2
"""seeds that the check of the rule lets go on, and stops"""


@pytest.fixture
def asked(configured: Configure) -> Configure:
    """A run of ten steps that is looked at five times."""

    def make(context: Any = None, **options: Any) -> TrainingConfiguration:
        options = {"evaluate_every": 2, "checkpoint_every": 3, "stop": {"min_gain": 0.1}} | options
        return configured(context or NOTHING, {"steps": 10}, options)

    return make


@pytest.fixture
def go(here: Resources, tmp_path: Path) -> Callable[..., tuple[Told, Held | None]]:
    """Run until the end or until the run puts itself aside; attempts of one folder go on from each other."""
    attempts = iter(range(1, 100))

    def gone(
        configuration: TrainingConfiguration, watch: Watch | None, *checkpoints: Path, released: bool = False
    ) -> tuple[Told, Held | None]:
        folder = tmp_path / str(next(attempts))
        places = replace(
            here,
            checkpoint_folder=folder / "checkpoints",
            export_folder=folder / "model",
            checkpoints=checkpoints,
            released=released,
        )
        told = Told()
        try:
            told.ended = run_training(configuration, places, told.events.append, watch=watch)
        except Paused as paused:
            return told, paused.held
        return told, None

    return gone


Go = Callable[..., tuple[Told, Held | None]]


def kept(told: Told) -> list[Path]:
    return [path for one in reversed(told.of(TrainingCheckpoint)) if (path := Path(one.path)).exists()]


def stopping(configuration: TrainingConfiguration, **change: Any) -> LawWatch:
    fields: dict[str, Any] = {"rule": SURE, "seed": STOPPED}
    return watch_of(configuration, **(fields | change))


class TestForecasts:
    def test_every_look_is_told_and_changes_nothing(self, asked: Configure, go: Go) -> None:
        configuration = asked({"kind": "reference_solution"}, stop=None)
        plain, _ = go(configuration, None)
        watched, held = go(configuration, watch_of(configuration))
        assert held is None
        assert told_of(watched.result) == told_of(plain.result)
        assert [one.loss for one in watched.of(TrainingMetrics)] == [one.loss for one in plain.of(TrainingMetrics)]
        forecasts = watched.of(TrainingForecast)
        assert {one.now.step for one in forecasts} == {2, 4, 6, 8}
        assert {one.curves.runs for one in forecasts} == {4}
        first, last = forecasts[0].now.intervals[0], forecasts[-1].now.intervals[0]
        assert last.upper - last.lower < first.upper - first.lower
        assert plain.of(TrainingForecast) == []

    def test_one_that_cannot_be_made_is_warned_of(self, asked: Configure, go: Go) -> None:
        class Broken:
            def look(self, *_: Any) -> Any:
                raise ValueError("no such law")

        told, _ = go(asked(stop=None), Broken())
        assert [one.code for one in told.result.warnings] == ["not_forecast", "no_context"]
        assert "ValueError: no such law" in told.result.warnings[0].message

    def test_a_rule_without_a_law_is_warned_of(self, asked: Configure, go: Go) -> None:
        told, held = go(asked(), None)
        assert held is None
        assert "training.stop does not stop it" in told.result.warnings[0].message


class TestStop:
    def test_it_is_an_observation_with_the_estimate_of_its_end(self, asked: Configure, go: Go) -> None:
        told, held = go(asked(), stopping(asked()))
        assert held is not None
        assert held.outcome is not None
        (stop,) = told.of(TrainingStop)
        now = told.of(TrainingForecast)[-1].now
        assert (held.by, held.step, stop.rule, stop.carried_out) == ("futility", 2, "futility", True)
        assert (stop.p_above_min_gain, stop.threshold, stop.min_gain) == (now.p_above_min_gain, 0.999, 0.1)
        outcome = held.outcome
        assert outcome.improvement == now.without_law == stop.improvement
        assert outcome.stopped_at == 2
        assert outcome.improvement.value != now.improvement.value, "never the last value"
        assert outcome.cov**2 <= (outcome.gap.se * outcome.improvement.se) ** 2 * (1 + 1e-9)
        assert [one.step for one in outcome.evaluations or []] == [2]
        assert kept(told)[0].name == "step_2"

    def test_a_cold_cell_stops_nothing_unless_asked(self, asked: Configure, go: Go) -> None:
        told, held = go(asked(), stopping(asked(), cold=True))
        assert (held, told.of(TrainingStop)) == (None, [])
        _, held = go(asked(), stopping(asked(), cold=True, rule=stop_rule(0.999, cold=True)))
        assert held is not None

    def test_one_in_ten_is_announced_and_goes_on(self, asked: Configure, go: Go) -> None:
        told, held = go(asked(), stopping(asked(), seed=KEPT))
        assert held is None
        (stop,) = told.of(TrainingStop)
        assert (stop.carried_out, stop.step) == (False, 2)
        assert told.result.stop == stop_of(stop)
        assert (told.result.stopped_by, told.result.steps) == ("steps", 10)
        assert sum(LawWatch(watch_of(asked())._standing, seed)._is_checked for seed in range(1000)) in range(70, 131)

    def test_resumed_it_ends_as_one_that_was_never_stopped(self, asked: Configure, go: Go) -> None:
        whole, _ = go(asked(), watch_of(asked()))
        first, held = go(asked(), stopping(asked()))
        assert held is not None
        rest, held = go(asked(), stopping(asked()), *kept(first), released=True)
        assert held is None
        losses = [one.loss for one in (*first.of(TrainingMetrics), *rest.of(TrainingMetrics))]
        assert losses == [one.loss for one in whole.of(TrainingMetrics)]
        exclude = {"stop", "warnings"}
        assert rest.result.stop is not None
        assert {name: value for name, value in told_of(rest.result).items() if name not in exclude} == {
            name: value for name, value in told_of(whole.result).items() if name not in exclude
        }

    def test_killed_before_anybody_heard_of_it_it_stops_again(self, asked: Configure, go: Go) -> None:
        first, held = go(asked(), stopping(asked()))
        assert held is not None
        assert held.outcome is not None
        again, same = go(asked(), stopping(asked()), *kept(first))
        assert same is not None
        assert same.outcome is not None
        assert again.of(TrainingMetrics) == []
        assert same.model_dump(exclude={"outcome": {"cost"}}) == held.model_dump(exclude={"outcome": {"cost"}})
        # and from the checkpoint before it, by the same decision
        again, same = go(asked(), stopping(asked()), kept(first)[-1])
        assert same is not None
        assert [one.step for one in again.of(TrainingMetrics)] == [1, 2]
        assert same.model_dump(exclude={"outcome": {"cost"}}) == held.model_dump(exclude={"outcome": {"cost"}})


def stop_of(event: TrainingStop) -> EarlyStop:
    return EarlyStop.model_validate(event.model_dump())


class TestPilot:
    def test_it_pauses_with_a_forecast_and_goes_on_to_the_same_end(self, asked: Configure, go: Go) -> None:
        configuration = asked({"kind": "reference_solution"}, stop=None)
        piloted = asked({"kind": "reference_solution"}, stop=None, pilot=0.4)
        whole, _ = go(configuration, watch_of(configuration))
        first, held = go(piloted, watch_of(piloted))
        assert held == Held(step=4, by="pilot")
        assert first.of(TrainingForecast)[-1].now.step == 4
        again, same = go(piloted, watch_of(piloted), *kept(first))
        assert (same, again.of(TrainingMetrics)) == (held, [])
        rest, held = go(piloted, watch_of(piloted), *kept(first), released=True)
        assert held is None
        assert told_of(rest.result) == told_of(whole.result)
        weights = [load_file(Path(one.result.artifact.path) / "model.safetensors") for one in (whole, rest)]  # type: ignore[union-attr]
        assert all(np.array_equal(weights[0][name].float(), weights[1][name].float()) for name in weights[0])

    def test_it_is_evaluated_where_it_ends(self, asked: Configure, go: Go) -> None:
        piloted = asked(stop=None, pilot=0.5)
        told, held = go(piloted, watch_of(piloted))
        assert held == Held(step=5, by="pilot")
        assert told.of(TrainingForecast)[-1].now.step == 5


class TestHarm:
    def test_it_takes_more_than_noise(self) -> None:
        rng = np.random.default_rng(0)
        chance = rng.uniform(0.2, 0.6, 128)

        def scores(p: Any) -> Any:
            return (rng.random((128, 4)) < np.asarray(p)[:, None]).astype(float)

        seen = [any(harmed(scores(chance), scores(chance), look) for look in range(1, 11)) for _ in range(200)]
        assert sum(seen) <= 0.05 * 200
        assert harmed(scores(chance), scores(chance - 0.2), 1)
        assert not harmed(scores(chance), scores(chance + 0.2), 1)
        assert not harmed(scores(chance)[:16], scores(chance - 0.2)[:16], 1), "too few problems"

    def test_it_stops_a_run_and_is_named(self, asked: Configure, go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
        configuration = asked()
        configuration = configuration.model_copy(update={"problems": 48, "evaluation_problems": None})
        ruinous = configuration.recipe.model_copy(update={"learning_rate": 0.05})
        context = asked({"kind": "reference_solution"}).context
        configuration = configuration.model_copy(update={"recipe": ruinous, "context": context})
        configuration.options.stop_on_collapse = False
        told, held = go(configuration, watch_of(configuration, stop_rule(0.0)))
        assert held is not None
        assert (held.by, told.of(TrainingStop)[-1].rule) == ("harm", "harm")
        assert held.outcome is not None
        assert held.outcome.improvement.value < 0
