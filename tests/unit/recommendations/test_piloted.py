"""Plans that pilot: what they ask for, and what becomes of the runs once all have put themselves aside."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.probes import Difference
from gapcast.contract.training_results import Held
from service.app import create_app
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kit.database import Database
from service.recommendations import executing
from service.settings import Settings
from service.training_runs import repository as runs
from service.training_runs.job import KIND
from tests.support.recommendations import created, database_of, end, look, read
from tests.support.training_results import evaluation, training_partial

Body = dict[str, Any]

STEPS = 150
LIKE_STORED: Body = {"recipe": {"steps": STEPS, "learning_rate": 5e-4}, "training": {"problems": 128}}
"""runs of the lab's pool, whose curves are stored"""
COST = {"seconds_per_rollout": 1e5, "hours_per_run": 1.0}
PILOTED: Body = {"base": LIKE_STORED, "budget": {"runs": 2, "gpu_hours": 1.4}, "cost": COST}
"""three runs' pilots and the rest of one"""


@pytest.fixture
def plan(client: TestClient) -> Body:
    return created(client, 202, execute=True, **PILOTED)


def hold(client: TestClient, run_id: str, gain: float, by: str = "pilot") -> None:
    """Train a run to the end of its pilot, as a worker does."""
    step = STEPS // 5
    seen = evaluation(step=step, accuracy=0.25 + gain, improvement=Difference(value=gain, se=0.02))
    with database_of(client).write() as session:
        job = jobs.claim(session, runs.by_id(session, run_id).job_id, "test", 60)
        assert job is not None
        runs.store_partial(session, run_id, training_partial(evaluations=[seen]).model_dump(mode="json"))
        back = jobs.hand_back(session, job.id, job.attempt, hold=True)
        assert back is not None
        KIND.hold(session, back, Held.model_validate({"step": step, "by": by}).model_dump(mode="json"))


def run(client: TestClient, run_id: str) -> Body:
    found: Body = client.get(f"/v1/training_runs/{run_id}").json()
    return found


def statuses(client: TestClient, plan: Body) -> list[str]:
    return [run(client, run_id)["status"] for run_id in plan["plan"][0]["training_run_ids"]]


def types(client: TestClient, plan: Body) -> list[str]:
    return [one["type"] for one in client.get(f"/v1/recommendations/{plan['id']}/events").json()["data"]]


def test_a_plan_says_what_it_pilots(client: TestClient) -> None:
    plan = created(client, **PILOTED)
    (step,) = plan["plan"]
    assert (step["action"], step["runs"], step["share"], step["finish"]) == ("pilot", 3, 0.2, 1)
    assert sorted(step["configurations"]) == [0, 1, 2]
    assert step["hours"] == pytest.approx(1.4)
    assert plan["bottleneck"] == "pilots"
    assert (plan["alternatives"][0]["pilots"], plan["alternatives"][0]["pilot_share"]) == (3, 0.2)
    assert client.get("/v1/training_runs").json()["data"] == []


@pytest.mark.parametrize(
    "base",
    [
        {"recipe": {"steps": 4}},
        {"verdict_on": "held_out"},
        {"recipe": {"steps": 2 * STEPS, "learning_rate": 5e-4}},
        {"pool": "default"},
    ],
    ids=["short", "other problems", "another length", "nothing stored"],
)
def test_a_run_whose_end_a_pilot_does_not_show_is_not_piloted(refusing: TestClient, base: Body) -> None:
    plan = created(refusing, **PILOTED | {"base": LIKE_STORED | base})
    assert all(one["pilots"] == 0 for one in plan["alternatives"])


@pytest.mark.slow
def test_pilots_go_on_and_end_on_every_database(database: Database, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"database_url": database.url}))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        plan = created(client, 202, execute=True, **PILOTED)
        ids = plan["plan"][0]["training_run_ids"]
        for run_id, gain in zip(ids, (0.1, 0.3, 0.2), strict=True):
            hold(client, run_id, gain)
        look(client)
        assert statuses(client, plan) == ["cancelled", "queued", "cancelled"]
        assert run(client, ids[0])["error"]["code"] == "pilot_not_finished"


@pytest.mark.slow
class TestExecution:
    def test_the_best_by_its_forecast_goes_on_and_the_others_end(self, client: TestClient, plan: Body) -> None:
        first, second, third = plan["plan"][0]["training_run_ids"]
        assert {run(client, run_id)["configuration"]["options"]["pilot"] for run_id in (first, second, third)} == {0.2}
        hold(client, first, 0.05)
        hold(client, second, 0.3)
        look(client)
        assert statuses(client, plan) == ["paused", "paused", "queued"], "one is still under way"
        hold(client, third, 0.1)
        look(client)
        assert statuses(client, plan) == ["cancelled", "queued", "cancelled"]
        (step,) = read(client, plan)["plan"]
        assert (step["status"], step["finished_run_ids"]) == ("running", [second])
        why = run(client, first)["error"]
        assert why["code"] == "pilot_not_finished"
        assert why["message"].startswith(f"{plan['id']} piloted this run and finishes {second} instead.")
        look(client)
        assert statuses(client, plan) == ["cancelled", "queued", "cancelled"], "once"
        end(client, second)
        found = read(client, plan)
        assert (found["status"], found["plan"][0]["status"]) == ("succeeded", "succeeded")
        assert found["best"]["training_run_id"] == second
        told = types(client, plan)
        assert told.count("recommendation.piloted") == 1
        assert told.count("training_run.held") == 3
        assert told[-1] == "recommendation.succeeded"

    def test_a_run_that_has_failed_or_that_a_rule_has_stopped_is_not_finished(
        self, client: TestClient, plan: Body
    ) -> None:
        first, second, third = plan["plan"][0]["training_run_ids"]
        end(client, first, JobState.failed)
        hold(client, second, 0.4, by="futility")
        hold(client, third, 0.02)
        look(client)
        assert statuses(client, plan) == ["failed", "cancelled", "queued"]
        assert "A rule had stopped this run" in run(client, second)["error"]["message"]

    def test_without_one_to_finish_the_plan_ends(self, client: TestClient, plan: Body) -> None:
        for run_id in plan["plan"][0]["training_run_ids"]:
            hold(client, run_id, 0.0, by="futility")
        look(client)
        assert statuses(client, plan) == ["cancelled"] * 3
        assert read(client, plan)["status"] == "succeeded"
        assert read(client, plan)["plan"][0]["status"] == "succeeded"

    def test_cancelling_the_plan_cancels_its_pilots(self, client: TestClient, plan: Body) -> None:
        hold(client, plan["plan"][0]["training_run_ids"][0], 0.1)
        client.post(f"/v1/recommendations/{plan['id']}/cancel")
        assert statuses(client, plan) == ["cancelled"] * 3

    def test_one_that_somebody_has_moved_meanwhile_is_looked_at_again(
        self, client: TestClient, plan: Body, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = plan["plan"][0]["training_run_ids"]
        for run_id, gain in zip(ids, (0.1, 0.3, 0.2), strict=True):
            hold(client, run_id, gain)
        choose = executing.choose

        def late(*arguments: Any) -> Any:
            chosen = choose(*arguments)
            client.post(f"/v1/training_runs/{chosen.finished[0]}/cancel")
            return chosen

        monkeypatch.setattr(executing, "choose", late)
        look(client)
        assert statuses(client, plan) == ["paused", "cancelled", "paused"]
        monkeypatch.setattr(executing, "choose", choose)
        look(client)
        assert statuses(client, plan) == ["cancelled", "cancelled", "queued"]

    def test_two_that_choose_at_once_choose_once(
        self, client: TestClient, plan: Body, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = plan["plan"][0]["training_run_ids"]
        for run_id, gain in zip(ids, (0.1, 0.3, 0.2), strict=True):
            hold(client, run_id, gain)
        choose = executing.choose

        def second(*arguments: Any) -> Any:
            chosen = choose(*arguments)
            monkeypatch.setattr(executing, "choose", choose)
            look(client)  # another server's
            return chosen

        monkeypatch.setattr(executing, "choose", second)
        look(client)
        assert read(client, plan)["status"] == "running"
        assert types(client, plan).count("recommendation.piloted") == 1
        assert statuses(client, plan) == ["cancelled", "queued", "cancelled"]
