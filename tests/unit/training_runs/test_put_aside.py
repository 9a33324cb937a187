"""Runs that put themselves aside: after a pilot, or because a rule has stopped them."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.forecasts import ForecastGiven
from gapcast.contract.probes import Difference
from gapcast.contract.training_results import EarlyStop, Held, RolloutLook, TrainingOutcome
from service.forecasts.forecasting import Standing
from service.training_runs.job import KIND
from tests.support.training_results import evaluation, training_partial, training_result
from tests.unit.training_runs.conftest import Worker

Body = dict[str, Any]
Post = Callable[..., Body]

STOP = EarlyStop(
    step=6,
    rule="futility",
    improvement=Difference(value=0.02, se=0.05),
    p_above_min_gain=0.03,
    threshold=0.05,
    learnt=True,
    min_gain=0.1,
)
LOOK = RolloutLook(step=3, improvement=Difference(value=0.01, se=0.03), passes=1, rollouts=32)
LAB = {"recipe": {"steps": 150, "learning_rate": 5e-4}, "context": {"kind": "hints", "options": {"level": 3}}}


def stopped(step: int = 6) -> Held:
    end = training_result(evaluations=[evaluation(step=step)], improvement=STOP.improvement, rollout_looks=[LOOK])
    outcome = TrainingOutcome(**{name: getattr(end, name) for name in TrainingOutcome.model_fields})
    return Held(step=step, by="futility", outcome=outcome.model_copy(update={"stopped_at": step}))


def get(client: TestClient, path: str) -> Body:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found: Body = answer.json()
    return found


@pytest.fixture
def run(post: Post, worker: Worker) -> Body:
    """A run that a rule has just stopped."""
    made = post(pool="mine", training={"problems": 16, "held_out_problems": 8, "stop": {}})
    worker.claim(made["id"])
    worker.tell(made["id"], training_partial(stop=STOP))
    worker.checkpoint(made["id"], 6)
    worker.hold(made["id"], stopped())
    return made


class TestStopped:
    def test_it_is_paused_and_says_why(self, client: TestClient, run: Body) -> None:
        found = get(client, f"/v1/training_runs/{run['id']}")
        assert (found["status"], found["held"], found["stopped_by"]) == ("paused", "futility", None)
        assert found["stop"] == STOP.model_dump()
        assert found["checkpoint"]["step"] == 6
        told = get(client, f"/v1/training_runs/{run['id']}/events")["data"][-1]
        held = {"by": "futility", "step": 6, "observation_id": found["observation_id"]}
        assert (told["type"], told["data"]) == ("training_run.held", held)

    def test_a_stream_and_a_wait_end_with_it(self, client: TestClient, run: Body) -> None:
        path = f"/v1/training_runs/{run['id']}"
        streamed = client.get(f"{path}/events", headers={"Accept": "text/event-stream"}).text
        assert streamed.rstrip().splitlines()[-2].startswith("data:") or "training_run.held" in streamed
        assert client.get(path, headers={"Prefer": "wait=60"}).json()["status"] == "paused"

    def test_its_observation_is_the_estimate_of_its_end(self, client: TestClient, run: Body) -> None:
        (row,) = get(client, "/v1/observations?pool=mine")["data"]
        assert (row["stopped_at"], row["external_id"]) == (6, f"{run['id']}/stopped")
        assert (row["improvement"]["value"], row["improvement"]["se"]) == (0.02, 0.05)
        assert row["recipe"]["steps"] == 20
        assert [look.get("source") for look in row["curve"]] == [None, "rollouts"]
        fit = get(client, "/v1/fits/current?pool=mine")
        assert fit["n"] == 1

    def test_its_curve_teaches_nobody_how_such_runs_end(self, client: TestClient, run: Body, worker: Worker) -> None:
        from service.fits.service import current
        from service.forecasts import repository

        fit = current(worker.database, "local", "mine").fit
        with worker.database.read() as session:
            cell = "lab-qwen3|lab/addition|frozen-forward_kl"
            assert not repository.curves(session, "local", "mine", fit.changes, cell, 1, 100)
            assert not repository.ended(session, "local", "mine", fit.changes, 10)

    def test_resumed_its_end_takes_the_estimates_place(self, client: TestClient, run: Body, worker: Worker) -> None:
        path = f"/v1/training_runs/{run['id']}"
        estimate = get(client, path)["observation_id"]
        resumed = client.post(f"{path}/resume").json()
        assert (resumed["status"], resumed["held"]) == ("queued", None)
        job = worker.claim(run["id"])
        with worker.database.read() as session:
            assert KIND.resources(session, job, client.app.state.gapcast.settings)["released"]  # type: ignore[attr-defined]
        worker.end(run["id"], result=training_result(stop=STOP))
        found = get(client, path)
        assert (found["status"], found["stopped_by"], found["stop"]["step"]) == ("succeeded", "steps", 6)
        before = get(client, f"/v1/observations/{estimate}")
        after = get(client, f"/v1/observations/{found['observation_id']}")
        assert before["excluded"]
        assert after["id"] in before["excluded_reason"]
        assert (after["excluded"], after["stopped_at"], after["external_id"]) == (False, None, run["id"])
        assert get(client, "/v1/fits/current?pool=mine")["n"] == 1

    def test_an_estimate_that_somebody_has_excluded_keeps_that_reason(
        self, client: TestClient, run: Body, worker: Worker
    ) -> None:
        path = f"/v1/training_runs/{run['id']}"
        estimate = get(client, path)["observation_id"]
        client.patch(f"/v1/observations/{estimate}", json={"excluded": True, "reason": "mine"})
        client.post(f"{path}/resume")
        worker.claim(run["id"])
        worker.end(run["id"])
        assert get(client, f"/v1/observations/{estimate}")["excluded_reason"] == "mine"
        assert get(client, path)["status"] == "succeeded"

    def test_cancelled_it_keeps_its_observation(self, client: TestClient, run: Body) -> None:
        found = client.post(f"/v1/training_runs/{run['id']}/cancel").json()
        assert (found["status"], found["held"]) == ("cancelled", None)
        assert not get(client, f"/v1/observations/{found['observation_id']}")["excluded"]

    def test_what_is_cancelled_meanwhile_is_cancelled(self, client: TestClient, post: Post, worker: Worker) -> None:
        made = post()
        worker.claim(made["id"])
        client.post(f"/v1/training_runs/{made['id']}/cancel")
        assert worker.hand_back(made["id"]) == "cancelled"


class TestPilot:
    def test_it_pauses_and_is_no_observation(self, client: TestClient, post: Post, worker: Worker) -> None:
        made = post(training={"problems": 16, "held_out_problems": 8, "pilot": 0.2})
        assert made["configuration"]["options"]["pilot"] == 0.2
        worker.claim(made["id"])
        worker.hold(made["id"], Held(step=4, by="pilot"))
        found = get(client, f"/v1/training_runs/{made['id']}")
        assert (found["status"], found["held"], found["observation_id"]) == ("paused", "pilot", None)

    def test_a_run_that_somebody_has_paused_is_not_released(
        self, client: TestClient, post: Post, worker: Worker
    ) -> None:
        made = post(training={"problems": 16, "held_out_problems": 8, "pilot": 0.2})
        worker.claim(made["id"])
        client.post(f"/v1/training_runs/{made['id']}/pause")
        worker.hand_back(made["id"])
        client.post(f"/v1/training_runs/{made['id']}/resume")
        job = worker.claim(made["id"])
        with worker.database.read() as session:
            assert not KIND.resources(session, job, client.app.state.gapcast.settings)["released"]  # type: ignore[attr-defined]


class TestWatched:
    def given(self, client: TestClient, worker: Worker, run: Body) -> ForecastGiven:
        job = worker.claim(run["id"])
        with worker.database.write() as session:
            KIND.configuration(session, job)
        with worker.database.read() as session:
            places = KIND.resources(session, job, client.app.state.gapcast.settings)  # type: ignore[attr-defined]
        return ForecastGiven.model_validate(places["watch"])

    def test_every_run_is_forecast_by_the_law_of_its_pool(self, client: TestClient, post: Post, worker: Worker) -> None:
        fit = get(client, "/v1/fits/current?pool=lab")
        given = self.given(client, worker, post(**LAB, training={"problems": 128}))
        assert (given.pool, given.fit_id, given.rule, given.steps) == ("lab", fit["id"], None, 150)
        assert Standing.read(given).grounds.cell.runs == 36

    @pytest.mark.slow
    def test_a_rule_is_learnt_from_its_good_runs(self, client: TestClient, post: Post, worker: Worker) -> None:
        get(client, "/v1/fits/current?pool=lab")
        made = post(**LAB, training={"problems": 128, "stop": {"min_gain": 0.05}})
        rule = self.given(client, worker, made).rule
        assert rule is not None
        assert (rule.learnt, rule.error, rule.min_gain) == (True, 0.05, 0.05)
        assert 0 < rule.threshold < 0.5

    def test_the_first_attempt_fixes_the_law(self, client: TestClient, post: Post, worker: Worker) -> None:
        fits = []
        for seed in (7, 8):
            other = post(pool="mine", seeds=[seed])
            worker.claim(other["id"])
            worker.end(other["id"])
            fits.append(get(client, "/v1/fits/current?pool=mine"))
            if seed == 7:
                made = post(pool="mine", training={"problems": 16, "held_out_problems": 8, "stop": {"alpha": 0.2}})
                first = self.given(client, worker, made)
        assert [fit["n"] for fit in fits] == [1, 2]
        assert (first.pool, first.fit_id, first.rule and first.rule.threshold) == ("mine", fits[0]["id"], 0.2)
        worker.hand_back(made["id"])
        assert self.given(client, worker, made) == first


class TestAsking:
    def test_the_least_gain_is_the_predictions(self, client: TestClient, configuration: Body) -> None:
        del configuration["probe"]
        body = configuration | {"gap": {"value": 0.3, "se": 0.03, "student": 0.25}, "pool": "lab", "min_gain": 0.07}
        made = client.post("/v1/predictions", json=body).json()

        def least(seed: int, stop: Body) -> float:
            asked = {"prediction_id": made["id"], "seeds": [seed], "training": {"stop": stop}}
            run = client.post("/v1/training_runs", json=asked).json()
            value: float = run["configuration"]["options"]["stop"]["min_gain"]
            return value

        assert (least(0, {}), least(1, {"min_gain": 0.02})) == (0.07, 0.02)

    @pytest.mark.parametrize(
        ("training", "param", "says"),
        [
            ({"stop": {"error": 0.05, "alpha": 0.1}}, "training.stop.alpha", "Send one of the two"),
            ({"stop": {"error": 0}}, "training.stop.error", "above 0"),
            ({"stop": {"min_gain": 5}}, "training.stop.min_gain", "from -1 to 1"),
            ({"stop": {"mingain": 0.1}}, "training.stop.mingain", "min_gain"),
            ({"stop": "yes"}, "training.stop", "mapping"),
            ({"pilot": 20}, "training.pilot", "below 1"),
            ({"pilot": 0}, "training.pilot", "above 0"),
            ({"pilot": 0.99}, "training.pilot", "ends before the last of 20 steps"),
        ],
    )
    def test_what_does_not_fit_is_refused_by_name(
        self, client: TestClient, asked: Body, training: Body, param: str, says: str
    ) -> None:
        answer = client.post("/v1/training_runs", json=asked | {"training": asked["training"] | training})
        assert (answer.status_code, answer.json()["param"]) == (422, param), answer.text
        assert says in answer.json()["detail"], answer.json()["detail"]

    def test_a_stopped_run_of_elsewhere_says_how_long_it_was_to_be(self, client: TestClient) -> None:
        row = {
            "family": "f",
            "task": "t",
            "model": "m",
            "context_kind": "hints",
            "baseline": 0.3,
            "gap": {"value": 0.2, "se": 0.02},
            "improvement": {"value": 0.01, "se": 0.05},
            "recipe": {"teacher": "frozen", "divergence": "forward_kl", "steps": 100},
        }
        answer = client.post("/v1/observations", json={"observations": [row | {"stopped_at": 100}]})
        assert (answer.status_code, answer.json()["param"]) == (422, "observations.0.stopped_at")
        assert "expected a step before 100, got 100" in answer.json()["detail"]
        del row["recipe"]["steps"]  # type: ignore[attr-defined]
        answer = client.post("/v1/observations", json={"observations": [row | {"stopped_at": 30}]})
        assert "expected recipe.steps" in answer.json()["detail"]
