"""Optuna's own study, whose trials a real server judges."""

import logging
from typing import Any

import pytest

from gapcast import Client, InvalidRequest

optuna = pytest.importorskip("optuna")
from gapcast.elsewhere.optuna import GapPruner  # noqa: E402

SLOPES = {0: 0.2, 1: -0.05, 2: 0.25}
"""by trial: what the run gains in the end"""


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def run(trial: Any, **more: Any) -> dict[str, Any]:
    return {
        "model": "lab/addition-qwen3-s",
        "task": "lab/addition",
        "context": {"kind": "hints", "options": {"level": 3}},
        "recipe": {"steps": 150, "learning_rate": trial.params["learning_rate"]},
        "training": {"problems": 128},
        "gap": {"value": 0.3, "se": 0.03},
        "evaluation": {"problems": 128, "rollouts": 4},
        "seed": 1,
        **more,
    }


def objective(trial: Any) -> float:
    trial.suggest_float("learning_rate", 5e-4, 5e-4)
    for step in range(0, 151, 15):
        accuracy = 0.25 + SLOPES[trial.number] * min(1.0, step / 45)
        trial.report(accuracy, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


def study(pruner: Any, name: str) -> Any:
    return optuna.create_study(direction="maximize", pruner=pruner, study_name=name)


@pytest.mark.slow
def test_hopeless_trials_are_pruned_and_good_ones_finish(connected: Client, pool: str) -> None:
    pruner = GapPruner(lambda trial: run(trial, pool=pool), {"min_gain": 0.1, "alpha": 0.3, "cold": True}, connected)
    found = study(pruner, pool)
    found.optimize(objective, n_trials=3, callbacks=[pruner.end])
    assert [trial.state.name for trial in found.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert max(found.trials[1].intermediate_values) < 120  # the rule does not speak after 75 % of the steps
    runs = list(connected.external_runs.list(pool=pool))[::-1]
    assert [one.status for one in runs] == ["succeeded", "stopped", "succeeded"]
    assert runs[1].announced == max(found.trials[1].intermediate_values)
    stored = list(connected.observations.list(pool=pool))
    assert len(stored) == 3
    assert {one.source for one in stored} == {"external"}


def test_a_server_that_is_away_prunes_nothing(pool: str, caplog: pytest.LogCaptureFixture) -> None:
    with Client("http://127.0.0.1:9", retries=0) as nobody, caplog.at_level(logging.WARNING):
        pruner = GapPruner(run, client=nobody)
        found = study(pruner, pool)
        found.optimize(objective, n_trials=2, callbacks=[pruner.end])
    assert [trial.state.name for trial in found.trials] == ["COMPLETE", "COMPLETE"]
    assert "trial 0 is not judged" in caplog.text
    assert "trial 1 becomes no observation" in caplog.text


def test_a_run_that_is_refused_is_an_error_of_its_trial(connected: Client, pool: str) -> None:
    pruner = GapPruner(lambda trial: run(trial, evaluation={}), client=connected)
    with pytest.raises(InvalidRequest, match=r"baseline\.se: expected a standard error over rollouts"):
        study(pruner, pool).optimize(objective, n_trials=1)


def test_a_trial_without_a_baseline_is_told_how_to_report_it(connected: Client, pool: str) -> None:
    def late(trial: Any) -> float:
        trial.suggest_float("learning_rate", 5e-4, 5e-4)
        trial.report(0.3, 15)
        return float(trial.should_prune())

    with pytest.raises(ValueError, match=r"trial 0: expected the accuracy before training, got none\. Report it at"):
        study(GapPruner(run, client=connected), pool).optimize(late, n_trials=1)
