"""Runs of TRL's real trainers on a lab model report their looks, are forecast, and are stopped."""

import json
import logging
from collections.abc import Iterator
from contextlib import nullcontext as nothing
from pathlib import Path
from typing import Any

import pytest
import transformers

from gapcast import Client
from gapcast.elsewhere import Run
from gapcast.elsewhere.trl_forecast import ForecastCallback, SelfDistillationEvaluation
from gapcast.elsewhere.trl_sampling import Sampled, sdft_prompt
from tests.support.product import serving
from tests.trl.lab import MODEL, STEPS, lab_rows, score, sdft_config, trainer_of

RUN = Run(
    family="lab-qwen3", task="lab/addition", model=MODEL, context_kind="hints", context={"level": 3}, pool="trl-runs"
)


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("served"), {"GAPCAST_WORKER": "off"}) as (client, _):
        yield client


class Crash(transformers.TrainerCallback):  # type: ignore[misc]
    """Ends a run as an error would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_save(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        if state.global_step == self.step:
            raise RuntimeError("crashed")


class TestARunIsForecast:
    def test_it_reports_its_looks_and_becomes_an_observation(self, connected: Client, tmp_path: Path) -> None:
        rows, config = lab_rows(64), sdft_config(tmp_path)
        sampled = Sampled(rows, score, config, sdft_prompt)
        callback = ForecastCallback(RUN, **sampled.looks(), every=10, client=connected)
        trainer = trainer_of(config, rows, callback)
        trainer.train()
        run = callback.external_run
        assert run is not None
        assert (run.status, run.steps, [look.step for look in run.looks]) == ("succeeded", STEPS, [10, 20, 30])
        assert (run.request.evaluation.problems, run.request.evaluation.rollouts) == (64, 4)
        assert run.forecast is not None
        assert run.forecast.now.expected > 0.1  # three of four digits are shown, and it learns
        assert run.request.recipe is not None
        assert (run.request.recipe.steps, run.request.recipe.schedule) == (STEPS, "constant")
        stored = connected.observations.get(str(run.observation_id))
        assert (stored.source, stored.pool, len(stored.curve or [])) == ("external", "trl-runs", 3)
        assert stored.improvement is not None
        assert (stored.improvement.variance, stored.improvement.problems) == ("counts", 64)
        assert stored.improvement.value == pytest.approx(run.looks[-1].value - run.request.baseline.accuracy)
        assert stored.gap.value > 4 * stored.gap.se
        assert stored.cov > 0  # both share the student's rollouts before training
        logged = [entry for entry in trainer.state.log_history if "self_distillation/student_accuracy" in entry]
        assert [entry["step"] for entry in logged] == [0, 10, 20, 30]
        assert "self_distillation/teacher_accuracy" in logged[0]
        assert all("self_distillation/expected_improvement" in entry for entry in logged[1:])

    def test_a_hopeless_one_is_stopped(self, connected: Client, tmp_path: Path) -> None:
        # a learning rate of nothing: the run stands where it began
        rows, config = lab_rows(32), sdft_config(tmp_path, learning_rate=1e-12, max_steps=40, seed=1)
        sampled = Sampled(rows, score, config, sdft_prompt)
        rule = {"min_gain": 0.3, "alpha": 0.4, "cold": True}
        callback = ForecastCallback(RUN, **sampled.looks(), every=4, stop=rule, client=connected)
        trainer = trainer_of(config, rows, callback)
        trainer.train()
        assert callback.stopped
        assert trainer.state.global_step < 31
        run = callback.external_run
        assert run is not None
        assert run.announced == trainer.state.global_step == run.looks[-1].step
        assert run.status == "stopped"
        stored = connected.observations.get(str(run.observation_id))
        assert (stored.stopped_at, (stored.recipe or {})["steps"]) == (run.announced, 40)

    def test_a_server_that_is_away_harms_nothing_and_looks_are_sent_later(
        self, connected: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows, config = lab_rows(16), sdft_config(tmp_path, max_steps=4)
        sampled = Sampled(rows, score, config, sdft_prompt)
        callback = ForecastCallback(RUN, **sampled.looks(), every=2, client=connected)
        whole = connected.external_runs.append

        def away(run_id: str, looks: list[dict[str, Any]]) -> Any:
            if looks[-1]["step"] == 2:
                with Client("http://127.0.0.1:9", retries=0) as nobody:
                    return nobody.external_runs.append(run_id, looks)
            return whole(run_id, looks)

        monkeypatch.setattr(connected.external_runs, "append", away)
        with caplog.at_level(logging.WARNING):
            trainer_of(config, rows, callback).train()
        assert "the look at step 2 goes with the next one" in caplog.text
        assert callback.external_run is not None
        assert [look.step for look in callback.external_run.looks] == [2, 4]

    def test_a_resumed_run_goes_on(self, connected: Client, tmp_path: Path) -> None:
        rows = lab_rows(16)

        def train(steps: int, resume: bool) -> ForecastCallback:
            config = sdft_config(tmp_path, max_steps=6, save_strategy="steps", save_steps=2)
            sampled = Sampled(rows, score, config, sdft_prompt)
            callback = ForecastCallback(RUN, **sampled.looks(), every=2, client=connected)
            trainer = trainer_of(config, rows, callback, *([] if steps == 6 else [Crash(steps)]))
            with pytest.raises(RuntimeError, match="crashed") if steps < 6 else nothing():
                trainer.train(resume_from_checkpoint=resume)
            return callback

        first = train(4, resume=False).external_run
        last = train(6, resume=True).external_run
        assert first is not None
        assert last is not None
        assert first.id == last.id
        assert [look.step for look in last.looks] == [2, 4, 6]
        assert last.status == "succeeded"
        assert json.loads((tmp_path / "gapcast_run.json").read_text())["run_id"] == first.id


class TestEvaluation:
    def test_it_measures_both_arms_at_every_look(self, tmp_path: Path) -> None:
        rows, config = lab_rows(64), sdft_config(tmp_path, max_steps=10)
        sampled = Sampled(rows, score, config, sdft_prompt)
        evaluation = SelfDistillationEvaluation(**sampled.looks(), every=5)
        trainer = trainer_of(config, rows, evaluation)
        trainer.train()
        logged = [entry for entry in trainer.state.log_history if "self_distillation/teacher_accuracy" in entry]
        assert [entry["step"] for entry in logged] == [0, 5, 10]
        for entry in logged:
            own, taught, gap = (
                entry[f"self_distillation/{name}"] for name in ("student_accuracy", "teacher_accuracy", "gap")
            )
            assert gap == pytest.approx(taught - own)
            assert taught > own + 0.1

    def test_metrics_go_through_a_trainer_that_is_given(self, tmp_path: Path) -> None:
        rows, config = lab_rows(16), sdft_config(tmp_path, max_steps=1)
        trainer = trainer_of(config, rows)
        sampled = Sampled(rows, score, config, sdft_prompt)
        trainer.add_callback(SelfDistillationEvaluation(**sampled.looks(), every=1, trainer=trainer))
        trainer.train()
        assert sum("self_distillation/gap" in entry for entry in trainer.state.log_history) == 2
