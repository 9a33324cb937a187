"""Where a run is expected to end, in the client and on the command line."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from gapcast import Client, Conflict, InvalidRequest, TrainingRun
from gapcast.contract.forecasts import Forecast, ForecastAt, KnownCurves, PredictedBefore
from gapcast.contract.predictions import Interval
from gapcast.contract.probes import Difference, Gap
from gapcast.words import on_track
from service.kit.database import Database
from service.training_runs import repository as runs
from tests.support.keys import unknown_keys
from tests.support.product import ask
from tests.support.training_results import evaluation, training_partial

Run = Callable[..., Result]

ASKED: dict[str, Any] = {
    "model": "lab/addition-qwen3-s",
    "task": "lab/addition",
    "context": {"kind": "hints", "options": {"level": 3}},
    "recipe": {"steps": 150, "learning_rate": 5e-4},
    "training": {"problems": 128},
}
NOW = ForecastAt(
    step=40,
    share=40 / 150,
    improvement=Difference(value=0.15, se=0.025),
    expected=0.212,
    intervals=[Interval(level=0.8, lower=0.15, upper=0.27), Interval(level=0.95, lower=0.12, upper=0.31)],
    p_above_min_gain=0.031,
    without_law=Difference(value=0.2, se=0.08),
)
FORECAST = Forecast(
    run_id="run_1",
    steps=150,
    baseline=0.25,
    min_gain=0.05,
    before=PredictedBefore(prediction_id="pred_1", value=0.238, intervals=[]),
    curves=KnownCurves(runs=36, cold=False),
    now=NOW,
    looks=[NOW],
    pool="lab",
    fit_id="fit_1",
)


class TestInWords:
    def test_a_run_on_track(self) -> None:
        assert on_track(FORECAST) == "on track: +21.2 now expected, 80 % +15.0 to +27.0; predicted +23.8 before"

    @pytest.mark.parametrize(
        ("predicted", "begins"),
        [(0.15, "on track: "), (0.27, "on track: "), (0.28, "behind, 3.1 % above +5.0: +21.2"), (0.14, "ahead: +21.2")],
    )
    def test_what_was_predicted_is_held_against_the_80_interval(self, predicted: float, begins: str) -> None:
        before = FORECAST.before.model_copy(update={"value": predicted})
        assert on_track(FORECAST.model_copy(update={"before": before})).startswith(begins)

    def test_a_run_without_a_prediction_is_on_no_track(self) -> None:
        before = PredictedBefore(prediction_id=None, value=None, intervals=[])
        text = on_track(FORECAST.model_copy(update={"before": before}))
        assert text == "+21.2 now expected, 80 % +15.0 to +27.0; nothing was predicted before"

    def test_a_cold_cell_is_called_cold(self) -> None:
        cold = FORECAST.model_copy(update={"curves": KnownCurves(runs=1, cold=True)})
        assert on_track(cold).endswith("predicted +23.8 before; cold: 1 stored curve of such runs")


@pytest.fixture
def queued(connected: Client, pool: str) -> TrainingRun:
    return connected.training_runs.create(ASKED | {"pool": pool})


@pytest.fixture
def seen(queued: TrainingRun, stored: Database) -> TrainingRun:
    """A run that stands at its baseline after 30 of 150 steps."""
    looks = [
        evaluation(step=step, accuracy=0.25 + gain, improvement=Difference(value=gain, se=0.025))
        for step, gain in ((15, 0.01), (30, 0.0))
    ]
    gap = Gap(value=0.3, se=0.03, student=0.25, self_teacher=0.55, problems=128, rollouts=4)
    with stored.write() as session:
        partial = training_partial(gap=gap, baseline=0.25, evaluations=looks).model_dump(mode="json")
        runs.store_partial(session, queued.id, partial)
    return queued


class TestOfRuns:
    def test_the_client_reads_it(self, connected: Client, seen: TrainingRun) -> None:
        found = connected.training_runs.forecast(seen.id)
        assert [look.step for look in found.looks] == [15, 30]
        assert (found.run_id, found.now.share, found.curves.runs) == (seen.id, 0.2, 36)
        assert unknown_keys(Forecast, ask(connected, "GET", f"/v1/training_runs/{seen.id}/forecast")) == []

    def test_showing_a_run_says_if_it_is_on_track(self, gapcast: Run, connected: Client, seen: TrainingRun) -> None:
        line = on_track(connected.training_runs.forecast(seen.id))
        assert line.startswith("behind, ")
        shown = " ".join(gapcast("runs", "show", seen.id).stdout.replace("│", " ").split())
        assert f"Forecast {line}" in shown
        assert "Forecast" not in gapcast("runs", "show", seen.id, "--json").stdout

    def test_every_look_is_printed(self, gapcast: Run, connected: Client, seen: TrainingRun) -> None:
        found = connected.training_runs.forecast(seen.id)
        done = gapcast("runs", "forecast", seen.id)
        assert done.exit_code == 0, done.output
        head, first, second, line = done.stdout.splitlines()
        assert "80 % interval" in head
        assert first.split()[:4] == ["15", "/", "150", "10"]
        assert first.split()[5:8] == ["+1.0", "±", "2.5"]
        assert second.split()[:4] == ["30", "/", "150", "20"]
        assert line.lower() == on_track(found).lower()
        assert json.loads(gapcast("runs", "forecast", seen.id, "--json").stdout) == found.model_dump(mode="json")

    def test_a_run_without_a_look_is_refused(self, gapcast: Run, connected: Client, queued: TrainingRun) -> None:
        with pytest.raises(Conflict, match="baseline is not measured yet") as refused:
            connected.training_runs.forecast(queued.id)
        assert refused.value.code == "no_looks"
        done = gapcast("runs", "forecast", queued.id)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "Ask again after step 15" in done.stderr
        assert "Forecast" not in gapcast("runs", "show", queued.id).stdout


def test_a_run_that_is_trained_elsewhere(connected: Client) -> None:
    baseline, look = {"accuracy": 0.25, "se": 0.018}, {"step": 15, "value": 0.36, "se": 0.018}
    found = connected.forecasts.create(ASKED, baseline=baseline, looks=[look], gap={"value": 0.3, "se": 0.03})
    assert (found.run_id, found.now.step, found.curves.cold) == (None, 15, False)
    with pytest.raises(InvalidRequest) as refused:
        connected.forecasts.create(ASKED, baseline=baseline, looks=[look, look])
    assert refused.value.param == "looks.1.step"
