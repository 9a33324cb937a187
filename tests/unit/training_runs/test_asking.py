"""Asking for training runs: what is stored, what is refused, and that nothing is there twice."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.catalog import Task
from gapcast.contract.training import TrainingRunRequest
from service.errors import DuplicateRun
from service.jobs.models import JobState
from service.kit.database import Database
from service.listed_models import ModelEntry
from service.settings import Settings
from service.tasks import service as tasks
from service.training_runs import service
from tests.unit.training_runs.conftest import Worker

Body = dict[str, Any]

WRONG: list[tuple[Body, str]] = [
    ({"model": {"name": "somebody/elses"}}, "model.name"),
    ({"model": {"name": "lab/addition-qwen3-s", "revision": "sha256:0"}}, "model.revision"),
    ({"task": "somebody/elses"}, "task"),
    ({"context": {"kind": "column"}}, "context.kind"),
    ({"context": {"kind": "hints", "options": {"level": 5}}}, "context.options.level"),
    ({"decoding": {"thinking": True}}, "decoding.thinking"),
    ({"decoding": {"max_tokens": 256}}, "decoding.max_tokens"),
    ({"probe": {"problems": 16}}, "probe.problems"),
    ({"training": {"problems": 513}}, "training.problems"),
    ({"training": {"problems": 1}}, "training.problems"),
    ({"training": {"problems": "some"}}, "training.problems"),
    ({"training": {"problems": 16, "evaluation_problems": 17}}, "training.evaluation_problems"),
    ({"training": {"evaluation_problems": 129}}, "training.evaluation_problems"),
    ({"training": {"evaluation_problems": 1}}, "training.evaluation_problems"),
    ({"probe": {"rollouts": 1}}, "probe.rollouts"),
    ({"probe": {"engine": "vllm-server"}}, "probe.engine"),
    ({"probe": {"seed": 3}}, "probe.seed"),
    ({"probe": {"controls": ["placebo"]}}, "probe.controls"),
    ({"gap": {"value": 0.1, "se": 0.1, "student": 0.1}}, "gap"),
    ({"recipe": {"steps": 0}}, "recipe.steps"),
    ({"training": {"held_out_problems": 257}}, "training.held_out_problems"),
    ({"training": {"checkpoint_every": 0}}, "training.checkpoint_every"),
    ({"training": {"processes": 2}, "probe": {"engine": "vllm"}}, "training.processes"),
    (
        {"model": {"name": "lab/addition-qwen3-s", "options": {"tensor_parallel": 2}}, "probe": {"engine": "vllm"}},
        "model.options.tensor_parallel",
    ),
    (
        {"model": {"name": "lab/addition-qwen3-s", "options": {"quantization": "fp8"}}},
        "model.options.quantization",
    ),
    ({"recipe": {"steps": 2001}, "training": {"evaluate_every": 1}}, "training.evaluate_every"),
    ({"seeds": []}, "seeds"),
    ({"seeds": list(range(65))}, "seeds"),
    ({"seeds": [1, 2, 1]}, "seeds.2"),
    ({"seeds": [-1]}, "seeds.0"),
    ({"seeds": [2**32]}, "seeds.0"),
    ({"pool": "No Pool"}, "pool"),
    ({"recipe": {"teacher": "live"}}, "recipe.teacher"),
    ({"context": None}, "context"),
    ({"prediction_id": "pred_1"}, "model"),
]
"""what is changed in a request that fits, and the field that the answer names"""


class TestCreate:
    def test_a_run_is_accepted_and_says_where_to_look(self, client: TestClient, asked: Body) -> None:
        answer = client.post("/v1/training_runs", json=asked)
        assert answer.status_code == 202
        run = answer.json()
        assert (run["object"], run["status"], run["group_id"], run["seed"]) == ("training_run", "queued", None, 0)
        assert answer.headers["location"] == f"/v1/training_runs/{run['id']}"
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get(answer.headers["location"]).json() == run

    def test_a_probes_problems_are_no_runs_and_the_answer_says_what_is(self, client: TestClient, asked: Body) -> None:
        problem = client.post("/v1/training_runs", json=asked | {"probe": {"problems": 512}}).json()
        assert problem["param"] == "probe.problems"
        assert problem["errors"][0]["message"] == "is not a field of probe. Did you mean training.problems?"

    def test_all_problems_of_a_task(self, post: Callable[..., Body]) -> None:
        assert post(training={"problems": "all"})["training"] == {
            "problems": 512,
            "evaluation_problems": 128,
            "passes": 20 * 32 / 512,
        }

    def test_a_small_task_is_trained_whole(
        self, client: TestClient, post: Callable[..., Body], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _with_problems(monkeypatch, 60)
        assert post(training={})["training"] == {"problems": 60, "evaluation_problems": 60, "passes": 20 * 32 / 60}

    @pytest.mark.parametrize(("problems", "sent"), [(1, None), (100_001, "all")])
    def test_a_task_that_no_run_fits(
        self,
        client: TestClient,
        asked: Body,
        monkeypatch: pytest.MonkeyPatch,
        problems: int,
        sent: str | None,
    ) -> None:
        _with_problems(monkeypatch, problems)
        problem = client.post("/v1/training_runs", json=asked | {"training": {"problems": sent}}).json()
        assert (problem["status"], problem["param"]) == (422, "training.problems")
        assert f"{problems:,} training problem" in problem["detail"]

    def test_defaults_are_recorded(self, post: Callable[..., Body], asked: Body) -> None:
        for name in ("probe", "recipe", "training"):
            del asked[name]
        run = post()
        made = run["configuration"]
        assert (made["problems"], made["rollouts"], made["held_out_problems"], made["engine"]) == (128, 4, 64, "auto")
        assert (made["recipe"]["steps"], made["decoding"]["max_tokens"], made["options"]["export"]) == (
            150,
            16,
            "final",
        )
        assert made["model_revision"].startswith("sha256:")
        assert made["task_revision"].startswith("sha256:")
        assert made["context"]["options"]["corruption"] == {"rate": 0.0, "coverage": 1.0}
        assert (run["pool"], run["family"], run["predicted"]) == ("default", "lab-qwen3", None)

    def test_the_group_matters_only_to_contexts_made_of_groups(self, post: Callable[..., Body]) -> None:
        assert post()["configuration"]["group_size"] is None
        peers = post(context={"kind": "peer_solution"}, recipe={"group_size": 8})
        assert peers["configuration"]["group_size"] == 8

    def test_seeds_are_runs_of_one_group(self, client: TestClient, asked: Body) -> None:
        answer = client.post("/v1/training_runs", json=asked | {"seeds": [7, 3, 4294967295]})
        assert answer.status_code == 202
        made = answer.json()
        assert (made["object"], made["has_more"]) == ("list", False)
        assert [run["seed"] for run in made["data"]] == [7, 3, 4294967295]
        assert [run["configuration"]["seed"] for run in made["data"]] == [7, 3, 4294967295]
        (group,) = {run["group_id"] for run in made["data"]}
        assert group.startswith("rgrp_")
        assert answer.headers["location"] == f"/v1/training_runs?group_id={group}"
        listed = client.get(answer.headers["location"], params={"order": "asc"}).json()
        assert [run["id"] for run in listed["data"]] == [run["id"] for run in made["data"]]

    def test_what_does_not_fit_names_its_field(self, client: TestClient, asked: Body) -> None:
        for change, param in WRONG:  # one application for all: it takes longer to start than they take
            answer = client.post("/v1/training_runs", json=asked | change)
            assert (answer.status_code, answer.json()["param"]) == (422, param), change
        assert client.get("/v1/training_runs").json()["data"] == []

    def test_a_served_model_cannot_be_trained(self, client: TestClient, settings: Settings, asked: Body) -> None:
        served = ModelEntry(name="olmo", family="olmo-3", url="http://gpu-box:8000/v1", revision="new")
        state = client.app.state.gapcast  # type: ignore[attr-defined]
        state.settings = settings.model_copy(update={"models": [served]})
        answer = client.post("/v1/training_runs", json=asked | {"model": {"name": "olmo"}})
        assert (answer.status_code, answer.json()["param"]) == (422, "model.name")
        assert "is on a server" in answer.json()["detail"]

    def test_a_task_without_held_out_problems_has_none_evaluated(
        self, client: TestClient, asked: Body, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = tasks.find_task

        def without(*arguments: Any) -> Task:
            return whole(*arguments).model_copy(update={"held_out_problems": 5})

        monkeypatch.setattr(tasks, "find_task", without)
        for sent, stored in ((None, 5), (3, 3), (0, 0)):
            body = asked | {"training": {"held_out_problems": sent}}
            made = client.post("/v1/training_runs", json=body).json()
            assert made["configuration"]["held_out_problems"] == stored

    def test_the_queue_has_an_end(self, client: TestClient, settings: Settings, asked: Body) -> None:
        state = client.app.state.gapcast  # type: ignore[attr-defined]
        state.settings = settings.model_copy(update={"max_queued_jobs": 2})
        assert client.post("/v1/training_runs", json=asked | {"seeds": [0, 1, 2]}).status_code == 429
        assert client.get("/v1/training_runs").json()["data"] == []
        assert client.post("/v1/training_runs", json=asked | {"seeds": [0, 1]}).status_code == 202
        answer = client.post("/v1/training_runs", json=asked | {"seeds": [2]})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0


class TestOfAPrediction:
    def test_everything_comes_from_its_request(self, client: TestClient, prediction: Body) -> None:
        answer = client.post("/v1/training_runs", json={"prediction_id": prediction["id"], "seeds": [1]})
        assert answer.status_code == 202, answer.text
        run, request = answer.json(), prediction["request"]
        assert (run["prediction_id"], request["pool"], run["pool"]) == (prediction["id"], "lab", "default")
        for name in ("task", "context", "recipe"):
            assert run["configuration"][name] == request[name]
        improvement = prediction["improvement"]
        assert run["predicted"] == {
            "prediction_id": prediction["id"],
            "value": improvement["value"],
            "intervals": [one | {"covered": None} for one in improvement["intervals"]],
            "verdict": prediction["verdict"],
        }

    def test_the_probes_engine_rollouts_and_family_are_the_runs(
        self, client: TestClient, configuration: Body, worker: Worker
    ) -> None:
        body = configuration | {"model": {"name": "lab/addition-qwen3-s", "family": "mine"}, "pool": "default"}
        body["probe"] = {"problems": 33, "rollouts": 1, "seed": 5, "engine": "transformers"}
        made = client.post("/v1/predictions", json=body).json()
        _answer(worker.database, made["id"])
        run = client.post("/v1/training_runs", json={"prediction_id": made["id"]}).json()
        stored = run["configuration"]
        assert (stored["problems"], stored["rollouts"], stored["engine"], stored["seed"]) == (128, 2, "transformers", 0)
        assert (run["family"], run["pool"]) == ("mine", "default")

    @pytest.mark.parametrize(
        ("asked", "problems", "evaluated"),
        [
            ({}, 128, 128),
            ({"problems": 64}, 64, 64),
            ({"problems": "all"}, 512, 128),
            ({"problems": 256, "evaluation_problems": 256}, 256, 256),
            ({"evaluation_problems": 32}, 128, 32),
        ],
    )
    @pytest.mark.parametrize("given", [False, True], ids=["probe", "gap"])
    def test_its_problems_are_the_runs_whatever_was_probed(
        self,
        client: TestClient,
        configuration: Body,
        worker: Worker,
        given: bool,
        asked: Body,
        problems: int,
        evaluated: int,
    ) -> None:
        measured = {"gap": {"value": 0.3, "se": 0.03, "student": 0.25}} if given else {"probe": {"problems": 512}}
        del configuration["probe"]
        made = client.post("/v1/predictions", json=configuration | measured | {"training": asked}).json()
        if not given:
            _answer(worker.database, made["id"])
        run = client.post("/v1/training_runs", json={"prediction_id": made["id"]}).json()
        shown = {"problems": problems, "evaluation_problems": evaluated, "passes": 150 * 32 / problems}
        assert made["training"] == run["training"] == shown
        assert made["request"]["training"] == {"problems": problems, "evaluation_problems": evaluated}
        assert (run["configuration"]["problems"], run["configuration"]["evaluation_problems"]) == (problems, evaluated)

    @pytest.mark.parametrize("name", ["problems", "evaluation_problems"])
    def test_its_problems_cannot_be_changed(self, client: TestClient, prediction: Body, name: str) -> None:
        body = {"prediction_id": prediction["id"], "training": {name: 16}}
        problem = client.post("/v1/training_runs", json=body).json()
        assert (problem["status"], problem["param"]) == (422, f"training.{name}")
        assert "expected 128" in problem["detail"]
        body["training"][name] = 128
        assert client.post("/v1/training_runs", json=body).status_code == 202, "one file serves both"

    def test_with_a_live_teacher_it_is_not_trained(self, client: TestClient, configuration: Body) -> None:
        live = {"gap": {"value": 0.2, "se": 0.02, "student": 0.3}, "recipe": {"teacher": "live"}}
        made = client.post("/v1/predictions", json={**configuration, "probe": None, **live}).json()
        assert (made["verdict"], made["support"]["missing"][0]["code"]) == ("pilot", "live_teacher")
        problem = client.post("/v1/training_runs", json={"prediction_id": made["id"]}).json()
        assert (problem["status"], problem["param"]) == (422, "recipe.teacher")
        assert "Choose one of those, or import the run" in problem["detail"]

    def test_one_from_before_it_said_so_trains_as_many_as_others(
        self, client: TestClient, prediction: Body, worker: Worker
    ) -> None:
        with worker.database.write() as session:
            session.connection().exec_driver_sql("UPDATE predictions SET request = json_remove(request, '$.training')")
        assert client.get(f"/v1/predictions/{prediction['id']}").json()["training"] is None
        run = client.post("/v1/training_runs", json={"prediction_id": prediction["id"]}).json()
        assert run["training"] == {"problems": 128, "evaluation_problems": 128, "passes": 37.5}

    def test_without_an_answer_it_cannot_be_run(self, client: TestClient, configuration: Body) -> None:
        made = client.post("/v1/predictions", json=configuration).json()
        answer = client.post("/v1/training_runs", json={"prediction_id": made["id"]})
        assert (answer.status_code, answer.json()["param"]) == (422, "prediction_id")
        assert "Wait for the prediction" in answer.json()["detail"]

    def test_of_a_task_that_has_changed_since_it_cannot_be_run(
        self, client: TestClient, configuration: Body, worker: Worker
    ) -> None:
        made = client.post("/v1/predictions", json=configuration).json()
        _answer(worker.database, made["id"])
        with worker.database.write() as session:
            session.connection().exec_driver_sql(
                "UPDATE probes SET configuration = json_set(configuration, '$.task_revision', 'sha256:old')"
            )
        answer = client.post("/v1/training_runs", json={"prediction_id": made["id"]})
        assert (answer.status_code, answer.json()["param"]) == (422, "prediction_id")
        assert "sha256:old" in answer.json()["detail"]

    def test_an_unknown_one_is_not_found(self, client: TestClient) -> None:
        assert client.post("/v1/training_runs", json={"prediction_id": "pred_1"}).status_code == 404


def _with_problems(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let every task have so many training problems."""
    known = tasks.known_task

    def of_another_size(*asked: Any) -> Task | None:
        task = known(*asked)
        return task and task.model_copy(update={"train_problems": number})

    monkeypatch.setattr(tasks, "known_task", of_another_size)


def _answer(database: Database, prediction_id: str) -> None:
    """Answer a prediction as if its probe had measured."""
    answer = '{"improvement": {"value": 0.2, "intervals": []}, "verdict": "train"}'
    with database.write() as session:
        session.connection().exec_driver_sql(
            f"UPDATE predictions SET status = 'succeeded', answer = '{answer}' WHERE id = '{prediction_id}'"
        )


class TestTheSameRunTwice:
    def test_while_it_lives_and_after_it_has_succeeded(
        self, client: TestClient, asked: Body, post: Callable[..., Body], worker: Worker
    ) -> None:
        run = post()
        for look in ("queued", "running", "paused", "succeeded"):
            if look == "running":
                worker.claim(run["id"])
            if look == "paused":
                client.post(f"/v1/training_runs/{run['id']}/pause")
                assert worker.hand_back(run["id"]) == "paused"
            if look == "succeeded":
                client.post(f"/v1/training_runs/{run['id']}/resume")
                worker.claim(run["id"])
                worker.end(run["id"])
            answer = client.post("/v1/training_runs", json=asked | {"seeds": [5, 0]})
            problem = answer.json()
            assert (answer.status_code, problem["code"], problem["param"]) == (409, "duplicate_run", "seeds")
            for told in (run["id"], look, "seed 0", "another seed"):
                assert told in problem["detail"]
        assert len(client.get("/v1/training_runs").json()["data"]) == 1, "all seeds or none"

    def test_options_that_change_no_sample_make_no_other_run(self, client: TestClient, asked: Body) -> None:
        client.post("/v1/training_runs", json=asked)
        body = asked | {"training": asked["training"] | {"checkpoint_every": 5, "export": "best"}}
        assert client.post("/v1/training_runs", json=body).status_code == 409

    @pytest.mark.parametrize("change", [{"seeds": [1]}, {"pool": "mine"}, {"recipe": {"steps": 21}}])
    def test_another_seed_pool_or_recipe_is_another_run(self, post: Callable[..., Body], change: Body) -> None:
        assert post()["id"] != post(**change)["id"]

    @pytest.mark.parametrize("state", [JobState.failed, JobState.cancelled, JobState.dead])
    def test_without_a_result_it_may_be_repeated(
        self, client: TestClient, asked: Body, post: Callable[..., Body], worker: Worker, state: JobState
    ) -> None:
        run = post()
        worker.claim(run["id"])
        worker.end(run["id"], state)
        again = post()
        assert again["id"] != run["id"]
        assert client.post("/v1/training_runs", json=asked).status_code == 409

    def test_a_run_that_was_cancelled_while_it_waited_may_be_repeated(
        self, client: TestClient, post: Callable[..., Body]
    ) -> None:
        client.post(f"/v1/training_runs/{post()['id']}/cancel")
        post()

    def test_two_at_once_are_one(self, database: Database, settings: Settings, asked: Body) -> None:
        """Each with the seeds in another order: neither waits for the other for ever."""
        barrier = threading.Barrier(2)
        outcomes: list[str] = []

        def ask(seeds: list[int]) -> None:
            request = TrainingRunRequest.model_validate(asked | {"seeds": seeds})
            barrier.wait()
            try:
                with database.write() as session:
                    service.create(session, "local", request, settings)
                outcomes.append("made")
            except DuplicateRun:
                outcomes.append("refused")

        for turn in range(4):
            seeds = [100 * turn + number for number in range(6)]
            threads = [threading.Thread(target=ask, args=(order,)) for order in (seeds, seeds[::-1])]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert sorted(outcomes) == ["made"] * 4 + ["refused"] * 4

    def test_another_tenant_has_runs_of_its_own(self, database: Database, settings: Settings, asked: Body) -> None:
        request = TrainingRunRequest.model_validate(asked)
        for tenant in ("local", "another"):
            with database.write() as session:
                service.create(session, tenant, request, settings)


class TestIdempotency:
    def test_a_key_replays_one_run_and_several(self, client: TestClient, asked: Body, worker: Worker) -> None:
        for key, seeds in (("one", [0]), ("many", [1, 2])):
            headers, body = {"Idempotency-Key": key}, asked | {"seeds": seeds}
            first = client.post("/v1/training_runs", json=body, headers=headers)
            again = client.post("/v1/training_runs", json=body, headers=headers)
            assert (again.status_code, again.json()) == (202, first.json())
            assert again.headers["location"] == first.headers["location"]
            other = client.post("/v1/training_runs", json=body | {"pool": "mine"}, headers=headers)
            assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        assert len(client.get("/v1/training_runs").json()["data"]) == 3

    def test_a_refused_request_leaves_its_key_free(self, client: TestClient, asked: Body) -> None:
        headers = {"Idempotency-Key": "k"}
        assert client.post("/v1/training_runs", json=asked | {"task": "no"}, headers=headers).status_code == 422
        assert client.post("/v1/training_runs", json=asked, headers=headers).status_code == 202
