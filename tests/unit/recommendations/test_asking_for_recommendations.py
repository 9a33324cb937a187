"""Recommendations on the API's side; no worker runs here, `end` does what one would with a run."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.probes import Difference, Gap
from gapcast.contract.recommendations import Step
from service.app import create_app
from service.comparisons import repository as comparisons
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kit.database import Database
from service.listed_models import ModelEntry
from service.probes import repository as probes
from service.recommendations import executing
from service.settings import Settings
from tests.support.comparisons import BASE, comparison, request
from tests.support.races import end_part, first_round
from tests.support.recommendations import CONTEXTS, DEAR, HOURS, asked, created, database_of, end, look, read
from tests.support.results import PROBLEMS, arm, probe_result, stored

Body = dict[str, Any]

FAMILIES: Body = {
    "base": {"task": "lab/addition", "pool": "default", "recipe": {"steps": 40}},
    "vary": {
        "model": [{"name": f"lab/addition-qwen3-{size}", "family": f"of {size}"} for size in ("s", "m")],
        "context": CONTEXTS
        | {"ref": {"kind": "reference_solution"}, "one": {"kind": "hints", "options": {"level": 1}}},
    },
    "budget": {"runs": 3} | HOURS,
    **DEAR,
}
"""two families that no stored run is of: two runs teach which is better"""


def serving(settings: Settings) -> TestClient:
    """The application with settings of a test's own, on its database."""
    return TestClient(create_app(settings), base_url="http://127.0.0.1")


def ahead_by(rollouts: int) -> Any:
    """A probe whose self-teacher solves so many of 4 rollouts more than the student, of each problem."""
    counts = [index % 3 for index in range(PROBLEMS)]
    arms = {name: arm(rollouts=4, counts=counts) for name in ("student", "none")}
    arms["context"] = arm(rollouts=4, counts=[count + rollouts for count in counts])
    value = rollouts / 4
    gap = Gap(value=value, se=0.02, student=0.25, self_teacher=0.25 + value, problems=PROBLEMS, rollouts=4)
    return probe_result(gap=gap, arms=arms)


class TestPlans:
    def test_a_plan_is_there_at_once_and_starts_nothing(self, client: TestClient) -> None:
        plan = created(client, name="which", tags=["sweep"])
        assert plan["status"] == "succeeded"
        assert [one["name"] for one in plan["space"]] == list(CONTEXTS)
        assert [step["action"] for step in plan["plan"]] == ["probe", "train"]
        probe, train = plan["plan"]
        assert probe["problems"] >= 32
        assert train["runs"] == 1
        assert plan["hours"] == pytest.approx(probe["hours"] + train["hours"])
        assert plan["expected_gain"] > plan["expected_gain_without"]
        assert plan["bottleneck"] == "gap"
        assert {step["status"] for step in plan["plan"]} == {"planned"}
        assert plan["alternatives"][0]["expected_gain"] == plan["expected_gain"]
        assert read(client, plan) == plan
        for resource in ("comparisons", "predictions", "probes", "training_runs"):
            assert client.get(f"/v1/{resource}").json()["data"] == []

    def test_the_same_plan_is_listed_by_what_it_is_called(self, client: TestClient) -> None:
        plan = created(client, name="which", tags=["sweep"])
        created(client)
        query = {"name": "which", "tag": "sweep", "task": "lab/addition", "pool": "lab", "status": "succeeded"}
        listed = client.get("/v1/recommendations", params=query).json()["data"]
        assert listed == [plan]
        query["model"] = "lab/addition-qwen3-s"
        assert client.get("/v1/recommendations", params=query).json()["data"] == [plan]
        assert client.get("/v1/recommendations", params={"model": "lab/addition"}).json()["data"] == []
        assert len(client.get("/v1/recommendations").json()["data"]) == 2

    def test_one_key_makes_one_plan(self, client: TestClient) -> None:
        headers = {"Idempotency-Key": "k"}
        first, again = (client.post("/v1/recommendations", json=asked(), headers=headers).json() for _ in range(2))
        assert first == again
        other = client.post("/v1/recommendations", json=asked(name="x"), headers=headers)
        assert other.status_code == 422

    def test_a_larger_budget_gains_more(self, refusing: TestClient) -> None:
        gains = [created(refusing, budget={"runs": runs})["expected_gain"] for runs in (1, 2)]
        assert gains[0] + 0.005 < gains[1]

    def test_runs_that_cannot_teach_are_said(self, refusing: TestClient) -> None:
        warned = created(refusing, budget={"runs": 2})["warnings"]
        assert [one["code"] for one in warned] == ["runs_do_not_teach"]
        assert created(refusing, base={"pool": "default"}, budget={"runs": 2})["warnings"] == []

    def test_nothing_is_trained_for_less_than_it_is_worth(self, refusing: TestClient) -> None:
        plan = created(refusing, base={"min_gain": 0.9}, execute=True, status=200)
        assert [step["action"] for step in plan["plan"]] == ["stop"]
        assert plan["status"] == "succeeded"
        assert plan["hours"] == 0
        assert plan["bottleneck"] == "none"


def test_stored_probes_count_whatever_their_size(database: Database, settings: Settings) -> None:
    with serving(settings.model_copy(update={"database_url": database.url})) as client:
        body = asked()["base"] | {"context": CONTEXTS["talk"], "probe": {"problems": 16}}
        prediction = client.post("/v1/predictions", json=body).json()
        with database_of(client).write() as session:
            probe = probes.by_id(session, prediction["probe_id"])
            probes.store_result(session, probe.id, stored(ahead_by(2)))
        plan = created(client)
        known = {one["name"]: one for one in plan["space"]}
        assert (known["talk"]["problems"], known["talk"]["gap"]) == (16, {"value": 0.5, "se": 0.02})
        assert known["all"]["gap"] is None
        assert known["talk"]["p_best"] > 0.9
        # its cost is told by that probe: .25 GPU-hours for 96 rollouts
        assert plan["unit"] == "gpu_hours"
        dear = created(client, budget={"gpu_hours": 0.05})
        assert [step["action"] for step in dear["plan"]] == ["train"]
        assert dear["plan"][0]["configurations"] == [2]


@pytest.mark.slow
def test_a_second_seed_is_trained_where_one_is_far_ahead(database: Database, settings: Settings) -> None:
    with serving(settings.model_copy(update={"database_url": database.url})) as client:
        for context, ahead in (("talk", 2), ("all", 0), ("peer", 0)):
            body = asked()["base"] | {"context": CONTEXTS[context], "probe": {"problems": 16}}
            prediction = client.post("/v1/predictions", json=body).json()
            with database_of(client).write() as session:
                probe = probes.by_id(session, prediction["probe_id"])
                probes.store_result(session, probe.id, stored(ahead_by(ahead)))
        plan = created(client, 202, execute=True, budget={"runs": 2} | HOURS, **DEAR)
        (step,) = plan["plan"]
        assert (step["configurations"], step["runs"], step["choice"]) == ([2, 2], 2, False)
        assert step["why"].endswith("A second seed is worth more here than a run of another configuration.")
        found = [client.get(f"/v1/training_runs/{run_id}").json() for run_id in step["training_run_ids"]]
        assert [one["seed"] for one in found] == [0, 1]
        assert {one["configuration"]["context"]["kind"] for one in found} == {"feedback"}
        for run_id in step["training_run_ids"]:
            end(client, run_id)
        assert [one["place"] for one in read(client, plan)["trained"]] == [2, 2]


class TestRefusals:
    def refused(self, client: TestClient, body: Body) -> tuple[str, str]:
        answer = client.post("/v1/recommendations", json=body)
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        return fault["param"], fault["message"]

    def test_a_budget_below_one_run(self, refusing: TestClient) -> None:
        param, message = self.refused(refusing, asked(budget={"gpu_hours": 1e-4}))
        assert param == "budget.gpu_hours"
        assert message.startswith("expected at least 0.0")
        assert "the hours of the cheapest training run, got 0.0001." in message
        least = message.split()[3].rstrip(",")
        plan = refusing.post("/v1/recommendations", json=asked(budget={"gpu_hours": float(least)}))
        assert plan.status_code == 201

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"budget": {"gpu_hours": 0}}, "budget.gpu_hours"),
            ({"budget": {"runs": 0}}, "budget.runs"),
            ({"budget": {"rollouts": 5}}, "budget.rollouts"),
            ({"vary": {"context": [{"kind": "hints"}]}}, "vary"),
            ({"vary": {"context": CONTEXTS, "recipe.stepz": [1, 2]}}, "vary.recipe.stepz"),
            ({"execute": "now"}, "execute"),
        ],
    )
    def test_a_field_that_does_not_fit(self, refusing: TestClient, change: Body, param: str) -> None:
        assert self.refused(refusing, asked() | change)[0] == param

    def test_what_is_executed_must_be_trainable(self, refusing: TestClient) -> None:
        vary = {"context": CONTEXTS, "recipe.teacher": ["live", "frozen"]}
        base = {"model": "lab/addition-qwen3-s", "task": "lab/addition"}
        body = {"base": base, "vary": vary, "cost": {"hours_per_run": 1}}
        assert refusing.post("/v1/recommendations", json=body).status_code == 201
        answer = refusing.post("/v1/recommendations", json=body | {"execute": True})
        assert answer.status_code == 422
        faults = answer.json()["errors"]
        assert [one["param"] for one in faults] == [f"vary[{name}, teacher live].recipe.teacher" for name in CONTEXTS]
        assert all("not trained" in one["message"] for one in faults)
        assert answer.json()["detail"].count("not trained") == 3

    def test_an_id_that_is_not_there(self, refusing: TestClient) -> None:
        assert refusing.get("/v1/recommendations/rec_1").status_code == 404
        assert refusing.post("/v1/recommendations/rec_1/cancel").status_code == 404
        assert refusing.get("/v1/recommendations/rec_1/events").status_code == 404


@pytest.mark.parametrize(("min_gain", "chosen"), [(0.0, ["a", "b"]), (0.2, ["a"]), (0.35, [])])
def test_probed_ones_are_trained_by_their_predictions_if_they_gain_enough(min_gain: float, chosen: list[str]) -> None:
    """Hints have won, and their second probe says 31 points; feedback is at 19.5."""
    step = Step(action="probe", configurations=[7, 5, 2], why="")
    asked_of = request(base=BASE | {"min_gain": min_gain})
    found = comparison(request=asked_of, picked=[1, 0, 2])
    trained = {"a": (5, "pred_second"), "b": (7, "pred_0")}
    assert executing.picked(found, step, found.picked[:2]) == [trained[name] for name in chosen]


def test_a_model_without_stored_runs_needs_its_cost(database: Database, settings: Settings) -> None:
    mine = ModelEntry.model_validate(
        {"name": "mine", "family": "mine", "path": "/nowhere", "revision": "sha256:" + "0" * 64}
    )
    with serving(settings.model_copy(update={"database_url": database.url, "models": [mine]})) as client:
        body = asked(base={"model": "mine"})
        answer = client.post("/v1/recommendations", json=body)
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert fault["param"] == "cost.hours_per_run"
        assert "no stored run of mine" in fault["message"]
        plan = client.post("/v1/recommendations", json=body | {"cost": {"hours_per_run": 2.0}}).json()
        assert [one["run_hours"] for one in plan["space"]] == [2.0] * 3


@pytest.mark.slow
class TestExecution:
    def test_a_probe_comes_as_a_comparison_and_is_cancelled_with_it(self, client: TestClient) -> None:
        plan = created(client, status=202, execute=True, name="which")
        assert plan["status"] == "running"
        probe, train = plan["plan"]
        assert (probe["status"], train["status"]) == ("running", "planned")
        (comparison,) = client.get("/v1/comparisons").json()["data"]
        assert comparison["id"] == probe["comparison_id"]
        assert comparison["name"] == "which"
        look(client)
        assert read(client, plan) == plan, "its step has not ended"
        cancelled = client.post(f"/v1/recommendations/{plan['id']}/cancel").json()
        assert cancelled["status"] == "cancelled"
        assert [step["status"] for step in cancelled["plan"]] == ["cancelled", "planned"]
        assert client.get(f"/v1/comparisons/{comparison['id']}").json()["status"] == "cancelled"
        assert client.post(f"/v1/recommendations/{plan['id']}/cancel").status_code == 409
        look(client)
        assert read(client, plan) == cancelled

    @pytest.mark.parametrize(("others", "is_twice"), [(0, True), (2, False)], ids=["one ahead", "alike"])
    def test_what_follows_a_probe_may_be_another_seed(self, client: TestClient, others: int, is_twice: bool) -> None:
        plan = created(client, status=202, execute=True, budget={"runs": 2})
        probe, train = plan["plan"]
        assert train["runs"] == 2
        with database_of(client).write() as session:
            [part] = comparisons.parts(session, [probe["comparison_id"]])
            assert jobs.claim(session, part.job.id, "test", 60) is not None
        first, second, _ = (probe["configurations"].index(place) for place in range(3))
        measured = {place: ahead_by(2 if place == first else others) for place in range(3)}
        result = {"measured": measured, "second": ahead_by(2), "eliminated": []}
        best = first_round(leader=first, picked=[first, second], alike=[])
        end_part(database_of(client), part.job.id, rounds=[best], **result)
        look(client)
        train = read(client, plan)["plan"][1]
        runs = [client.get(f"/v1/training_runs/{run_id}").json() for run_id in train["training_run_ids"]]
        assert len(train["configurations"]) == 2
        assert (train["configurations"] == [0, 0]) == is_twice
        assert [one["seed"] for one in runs] == ([0, 1] if is_twice else [0, 0])
        assert all(one["prediction_id"] is not None for one in runs), "of the comparison's predictions"

    def test_a_comparison_that_ends_badly_ends_the_plan(self, client: TestClient) -> None:
        plan = created(client, status=202, execute=True)
        client.post(f"/v1/comparisons/{plan['plan'][0]['comparison_id']}/cancel")
        look(client)
        assert read(client, plan)["status"] == "cancelled"
        assert client.get("/v1/training_runs").json()["data"] == []

    def test_runs_are_trained_and_the_best_is_named(self, client: TestClient) -> None:
        base = {"recipe": {"steps": 40}}  # no curve of such a run is stored, so none is piloted
        plan = created(client, status=202, execute=True, base=base, budget={"runs": 2} | HOURS, **DEAR)
        (step,) = plan["plan"]
        assert (step["action"], step["status"], step["runs"]) == ("train", "running", 2)
        first, second = step["training_run_ids"]
        end(client, first, improvement=Difference(value=0.1, se=0.04))
        assert read(client, plan)["status"] == "running"
        end(client, second)
        found = read(client, plan)
        assert found["status"] == "succeeded"
        assert [one["place"] for one in found["trained"]] == step["configurations"]
        assert found["best"] == found["trained"][1]
        told = [one["type"] for one in client.get(f"/v1/recommendations/{plan['id']}/events").json()["data"]]
        assert told[0] == "recommendation.created"
        assert told.count("recommendation.step") == 1
        assert told.count("training_run.succeeded") == 2
        assert told[-1] == "recommendation.succeeded"

    def test_runs_first_teach_the_law_that_plans_the_rest(self, client: TestClient) -> None:
        plan = created(client, status=202, execute=True, **FAMILIES)
        first, rest = plan["plan"]
        assert (first["runs"], rest["runs"], rest["choice"]) == (2, 1, True)
        assert plan["bottleneck"] == "law"
        assert "the law is the bottleneck" in first["why"]
        families = {plan["space"][place]["family"] for place in first["configurations"]}
        assert families == {"of s", "of m"}
        for run_id in first["training_run_ids"]:
            end(client, run_id)
        found = read(client, plan)
        assert [step["status"] for step in found["plan"]] == ["succeeded", "running"]
        (run,) = found["plan"][1]["training_run_ids"]
        assert found["plan"][1]["configurations"][0] not in first["configurations"]
        assert client.get("/v1/fits/current", params={"pool": "default"}).json()["n"] == 2
        end(client, run)
        found = read(client, plan)
        assert found["status"] == "succeeded"
        assert len(found["trained"]) == 3
        told = [one["type"] for one in client.get(f"/v1/recommendations/{plan['id']}/events").json()["data"]]
        assert told.count("recommendation.replanned") == 1

    def test_a_run_that_fails_ends_the_plan_with_its_error(self, client: TestClient) -> None:
        plan = created(client, status=202, execute=True, budget=HOURS, **DEAR)
        end(client, plan["plan"][0]["training_run_ids"][0], JobState.failed)
        found = read(client, plan)
        assert (found["status"], found["error"]["message"]) == ("failed", "m")

    def test_the_same_run_again_gets_another_seed(self, client: TestClient) -> None:
        seeds = []
        for _ in range(2):
            plan = created(client, status=202, execute=True, budget=HOURS, **DEAR)
            run_id = plan["plan"][0]["training_run_ids"][0]
            seeds.append(client.get(f"/v1/training_runs/{run_id}").json()["seed"])
            end(client, run_id)
        assert seeds == [0, 1]

    def test_cancelling_ends_the_runs(self, client: TestClient) -> None:
        plan = created(client, status=202, execute=True, budget={"runs": 2} | HOURS, **DEAR)
        client.post(f"/v1/recommendations/{plan['id']}/cancel")
        assert {one["status"] for one in client.get("/v1/training_runs").json()["data"]} == {"cancelled"}

    def test_many_that_look_at_once_start_one_step(self, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        plan = created(client, status=202, execute=True, **FAMILIES)
        first, second = plan["plan"][0]["training_run_ids"]
        end(client, first)
        both = threading.Barrier(2)
        advise = executing.advise

        def slowly(*arguments: Any) -> Any:
            both.wait(30)  # each has seen that the step has ended
            return advise(*arguments)

        monkeypatch.setattr(executing, "advise", slowly)
        with ThreadPoolExecutor() as threads:
            ended = threads.submit(end, client, second)
            while not both.n_waiting and not ended.done():
                time.sleep(0.01)
            look(client)
            ended.result()
        assert read(client, plan)["status"] == "running"
        assert len(client.get("/v1/training_runs").json()["data"]) == 3
