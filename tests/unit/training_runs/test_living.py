"""A training run from its queue to its end, as the API shows it and as it is steered."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel
from sqlalchemy import event

from gapcast.contract.probes import Difference, Gap
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import (
    Artifact,
    CheckpointOut,
    CheckpointRef,
    Evaluation,
    HeldOutImprovement,
    MeasuredImprovement,
    Predicted,
    RunCost,
    TrainingRunOut,
)
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kit.database import Database
from service.settings import Settings
from service.training_runs import repository as runs
from tests.support.training_results import BEST, evaluation, training_partial, training_result
from tests.unit.training_runs.conftest import RESULT, Worker

pytestmark = pytest.mark.slow

Body = dict[str, Any]
Post = Callable[..., Body]

PARTIAL: Body = training_partial().model_dump(mode="json")


def shown(client: TestClient, run: Body) -> Body:
    answer = client.get(f"/v1/training_runs/{run['id']}")
    assert answer.status_code == 200, answer.text
    made: Body = answer.json()
    return made


def told(client: TestClient, run: Body) -> list[str]:
    page = client.get(f"/v1/training_runs/{run['id']}/events").json()
    return [one["type"] for one in page["data"]]


def give(client: TestClient, tenant: str) -> None:
    """Make a tenant the owner of all training runs and of their jobs and events."""
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        for table in ("training_runs", "jobs", "events"):
            session.connection().exec_driver_sql(f"UPDATE {table} SET tenant = ?", (tenant,))


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of a database meanwhile."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(database.engine, "before_cursor_execute", note)


class TestShown:
    def test_while_it_runs_what_is_known_so_far(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        job = worker.claim(run["id"])
        worker.tell(run["id"], training_partial())
        worker.checkpoint(run["id"], 10)
        progress = {"done": 12, "total": 20, "unit": "steps", "phase": "training"}
        with worker.database.write() as session:
            jobs.heartbeat(session, job.id, job.attempt, 60, progress)
        found = shown(client, run)
        assert (found["status"], found["progress"]) == ("running", progress | {"rate": None, "seconds_left": None})
        assert {name: found[name] for name in PARTIAL} == PARTIAL
        assert (found["checkpoint"]["step"], found["checkpoint"]["bytes"]) == (10, 110)
        assert found["started_at"] is not None
        for name in ("improvement", "collapsed", "stopped_by", "cost", "artifact", "observation_id", "finished_at"):
            assert found[name] is None, name

    def test_at_its_end_what_came_of_it(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        job = worker.claim(run["id"])
        worker.tell(run["id"], training_partial())
        with worker.database.write() as session:
            jobs.heartbeat(session, job.id, job.attempt, 60, {"done": 20, "total": 20})
        worker.end(run["id"])
        found = shown(client, run)
        assert found["improvement"] == {
            "value": 0.28,
            "se": 0.04,
            "best": {"step": 10, "value": 0.31, "se": 0.04},
            "held_out": {
                "value": 0.05,
                "se": 0.06,
                "baseline": 0.2,
                "problems": 8,
                "best": {"step": 10, "value": 0.1, "se": 0.06},
            },
        }
        for name in ("baseline", "gap", "evaluations", "warnings", "collapsed", "stopped_by", "artifact", "versions"):
            assert found[name] == RESULT[name], name
        assert found["cost"] == {
            name: RESULT["cost"][name] for name in ("seconds", "gpu_hours", "evaluation_seconds", "rollouts", "tokens")
        }
        assert (found["status"], found["progress"], found["error"]) == ("succeeded", None, None)
        assert found["finished_at"] is not None
        assert not {"counts", "problem_ids"} & found.keys()

    def test_the_answer_has_the_contracts_fields_and_no_others(
        self, client: TestClient, prediction: Body, worker: Worker
    ) -> None:
        run = client.post("/v1/training_runs", json={"prediction_id": prediction["id"]}).json()
        worker.claim(run["id"])
        worker.checkpoint(run["id"], 10)
        worker.end(run["id"])
        found = shown(client, run)
        assert found.keys() == TrainingRunOut.model_fields.keys()
        parts: dict[str, type[BaseModel]] = {
            "configuration": TrainingConfiguration,
            "gap": Gap,
            "improvement": MeasuredImprovement,
            "predicted": Predicted,
            "checkpoint": CheckpointRef,
            "artifact": Artifact,
            "cost": RunCost,
        }
        for name, kind in parts.items():
            assert kind.model_fields.keys() - found[name].keys() <= {"scoring_version"}, name  # null is left out
            assert found[name].keys() <= kind.model_fields.keys(), name
        assert found["improvement"]["held_out"].keys() == HeldOutImprovement.model_fields.keys()
        assert found["evaluations"][0].keys() == Evaluation.model_fields.keys() - {"collapsed"}
        (checkpoint,) = client.get(f"/v1/training_runs/{run['id']}/checkpoints").json()["data"]
        assert checkpoint.keys() == CheckpointOut.model_fields.keys()

    def test_a_configuration_of_another_version_is_still_shown(
        self, client: TestClient, post: Post, worker: Worker
    ) -> None:
        run = post()
        with worker.database.write() as session:
            row = runs.by_id(session, run["id"])
            recipe = {name: value for name, value in row.configuration["recipe"].items() if name != "weight_decay"}
            row.configuration = row.configuration | {"recipe": recipe | {"newer": 1}}
        assert shown(client, run)["configuration"] == run["configuration"]
        worker.claim(run["id"])
        worker.end(run["id"])
        assert shown(client, run)["observation_id"] is not None

    def test_the_evaluation_that_ended_a_run_says_so(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        worker.claim(run["id"])
        worker.end(run["id"], result=training_result(evaluations=[evaluation(), evaluation(step=20, collapsed=True)]))
        assert [one.get("collapsed") for one in shown(client, run)["evaluations"]] == [None, True]

    def test_without_held_out_problems(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        worker.claim(run["id"])
        best = BEST.model_copy(update={"held_out": None})
        worker.end(run["id"], result=training_result(held_out=None, best=best))
        assert shown(client, run)["improvement"]["held_out"] is None

    @pytest.mark.parametrize("state", [JobState.failed, JobState.cancelled])
    def test_what_it_had_measured_when_it_failed(
        self, client: TestClient, post: Post, worker: Worker, state: JobState
    ) -> None:
        run = post()
        worker.claim(run["id"])
        worker.tell(run["id"], training_partial())
        worker.end(run["id"], state)
        found = shown(client, run)
        assert found["status"] == state
        assert {name: found[name] for name in PARTIAL} == PARTIAL
        assert (found["observation_id"], found["improvement"]) == (None, None)
        assert (found["error"] or {}).get("code") == ("e" if state == JobState.failed else None)

    def test_which_predicted_intervals_hold_the_outcome(
        self, client: TestClient, prediction: Body, worker: Worker
    ) -> None:
        narrow = prediction["improvement"]["intervals"][0]
        outcomes = (narrow["lower"] - 0.001, narrow["lower"], narrow["upper"], narrow["upper"] + 0.001)
        asked = {"prediction_id": prediction["id"], "seeds": [*range(len(outcomes))]}
        runs = client.post("/v1/training_runs", json=asked).json()["data"]
        covered = []
        for run, value in zip(runs, outcomes, strict=True):
            worker.claim(run["id"])
            worker.end(run["id"], result=training_result(improvement=Difference(value=value, se=0.04)))
            predicted = shown(client, run)["predicted"]
            assert [one["level"] for one in predicted["intervals"]] == [0.8, 0.95]
            assert predicted["verdict"] == prediction["verdict"]
            covered.append([one["covered"] for one in predicted["intervals"]])
        assert covered == [[False, True], [True, True], [True, True], [False, True]]

    def test_a_list_leaves_evaluations_out_and_filters(
        self, client: TestClient, post: Post, prediction: Body, worker: Worker
    ) -> None:
        first = post()
        worker.claim(first["id"])
        worker.end(first["id"])
        running = post(seeds=[1])
        worker.claim(running["id"])
        worker.tell(running["id"], training_partial())
        group = post(seeds=[2, 3])["data"]
        own = client.post("/v1/training_runs", json={"prediction_id": prediction["id"]}).json()

        def listed(**wanted: str) -> list[str]:
            return [one["id"] for one in client.get("/v1/training_runs", params=wanted).json()["data"]]

        assert listed() == [own["id"], *(one["id"] for one in reversed(group)), running["id"], first["id"]]
        assert listed(status="succeeded") == [first["id"]]
        assert listed(status="queued", order="asc") == [*(one["id"] for one in group), own["id"]]
        assert listed(group_id=group[0]["group_id"]) == [group[1]["id"], group[0]["id"]]
        assert listed(prediction_id=prediction["id"]) == [own["id"]]
        assert client.get("/v1/training_runs", params={"status": "done"}).status_code == 422
        for one in client.get("/v1/training_runs", params={"order": "asc"}).json()["data"][:2]:
            assert one["evaluations"] is None
            assert one == shown(client, one) | {"evaluations": None}
        page = client.get("/v1/training_runs", params={"limit": 2}).json()
        assert (page["has_more"], page["last_id"]) == (True, group[1]["id"])

    def test_another_tenants_run_is_not_there(self, client: TestClient, post: Post) -> None:
        run = post()
        give(client, "another")
        for path in ("", "/events", "/checkpoints"):
            assert client.get(f"/v1/training_runs/{run['id']}{path}").status_code == 404, path
        for path in ("cancel", "pause", "resume"):
            assert client.post(f"/v1/training_runs/{run['id']}/{path}").status_code == 404, path
        assert client.get("/v1/training_runs").json()["data"] == []
        give(client, "local")
        assert shown(client, run)["status"] == "queued"

    def test_few_statements_are_asked(self, client: TestClient, asked: Body, post: Post, worker: Worker) -> None:
        run = post(seeds=[1])
        worker.shows_itself()
        worker.claim(run["id"])
        worker.checkpoint(run["id"], 1)
        for path in (f"/{run['id']}", f"/{run['id']}/events", f"/{run['id']}/checkpoints", "?status=running"):
            with statements(worker.database) as made:
                assert client.get(f"/v1/training_runs{path}").status_code == 200
            assert len(made) <= 3, (path, made)
        with statements(worker.database) as made:
            posted = client.post("/v1/training_runs", json=asked | {"seeds": [2]})
        assert posted.status_code == 202
        assert len(made) <= 6, made
        with statements(worker.database) as made:
            assert shown(client, posted.json())["waiting"]["running"]["id"] == run["id"]
        assert len(made) <= 3, made
        listed = client.get("/v1/training_runs?status=queued").json()["data"]
        assert [one["waiting"] for one in listed] == [None], "a list asks nothing of each row"
        with statements(worker.database) as made:
            assert client.post(f"/v1/training_runs/{run['id']}/pause").status_code == 200
        assert len(made) <= 6, made


class TestSteered:
    def test_a_queued_run_is_cancelled_at_once(self, client: TestClient, post: Post) -> None:
        run = post()
        answer = client.post(f"/v1/training_runs/{run['id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert told(client, run) == ["training_run.created", "job.cancel_requested", "training_run.cancelled"]
        again = client.post(f"/v1/training_runs/{run['id']}/cancel")
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        assert "cancelled" in again.json()["detail"]

    def test_a_running_one_is_asked_to_stop(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        job = worker.claim(run["id"])
        assert client.post(f"/v1/training_runs/{run['id']}/cancel").json()["status"] == "running"
        with worker.database.read() as session:
            asked = jobs.asked(session, job.id, job.attempt)
        assert asked == (True, False)
        refused = client.post(f"/v1/training_runs/{run['id']}/pause")
        assert (refused.status_code, "being cancelled" in refused.json()["detail"]) == (409, True)

    def test_a_queued_run_is_paused_at_once_and_goes_back(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        assert client.post(f"/v1/training_runs/{run['id']}/pause").json()["status"] == "paused"
        with worker.database.write() as session:
            assert jobs.claim(session, worker.job_of(run["id"]), "test", 60) is None
        twice = client.post(f"/v1/training_runs/{run['id']}/pause")
        assert (twice.status_code, f"/v1/training_runs/{run['id']}/resume" in twice.json()["detail"]) == (409, True)
        assert client.post(f"/v1/training_runs/{run['id']}/resume").json()["status"] == "queued"
        assert told(client, run) == [
            *("training_run.created", "job.pause_requested", "job.paused", "job.resumed"),
        ]
        worker.claim(run["id"])

    def test_a_running_one_is_paused_by_its_worker(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        job = worker.claim(run["id"])
        worker.checkpoint(run["id"], 3)
        assert client.post(f"/v1/training_runs/{run['id']}/pause").json()["status"] == "running"
        assert client.post(f"/v1/training_runs/{run['id']}/resume").status_code == 409
        with worker.database.read() as session:
            asked = jobs.asked(session, job.id, job.attempt)
        assert asked == (False, True)
        assert worker.hand_back(run["id"]) == "paused"
        found = shown(client, run)
        assert (found["status"], found["checkpoint"]["step"], found["finished_at"]) == ("paused", 3, None)
        client.post(f"/v1/training_runs/{run['id']}/resume")
        again = worker.claim(run["id"])
        assert (again.attempt, again.failures, again.pause_requested_at) == (2, 0, None)

    def test_a_paused_one_is_cancelled_at_once(self, client: TestClient, post: Post) -> None:
        run = post()
        client.post(f"/v1/training_runs/{run['id']}/pause")
        assert client.post(f"/v1/training_runs/{run['id']}/cancel").json()["status"] == "cancelled"

    def test_what_has_ended_stays_as_it_is(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        worker.claim(run["id"])
        worker.end(run["id"])
        before = shown(client, run)
        for path in ("cancel", "pause", "resume"):
            answer = client.post(f"/v1/training_runs/{run['id']}/{path}")
            assert (answer.status_code, "succeeded" in answer.json()["detail"]) == (409, True)
        assert shown(client, run) == before

    def test_paused_runs_take_no_room_until_they_go_on(
        self, client: TestClient, settings: Settings, post: Post
    ) -> None:
        state = client.app.state.gapcast  # type: ignore[attr-defined]
        state.settings = settings.model_copy(update={"max_queued_jobs": 1})
        first = post()
        client.post(f"/v1/training_runs/{first['id']}/pause")
        second = post(seeds=[1])
        answer = client.post(f"/v1/training_runs/{first['id']}/resume")
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_jobs")
        assert shown(client, first)["status"] == "paused"
        client.post(f"/v1/training_runs/{second['id']}/cancel")
        assert client.post(f"/v1/training_runs/{first['id']}/resume").status_code == 200

    def test_waiting_ends_with_the_time_or_the_run(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        answer = client.get(f"/v1/training_runs/{run['id']}", headers={"Prefer": "wait=1"})
        assert answer.json()["status"] == "queued"
        worker.claim(run["id"])
        worker.end(run["id"])
        answer = client.get(f"/v1/training_runs/{run['id']}", headers={"Prefer": "wait=60"})
        assert answer.json()["status"] == "succeeded"

    def test_events_are_a_stream_that_ends_with_the_run(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        worker.claim(run["id"])
        worker.end(run["id"])
        path = f"/v1/training_runs/{run['id']}/events"
        page = client.get(path).json()
        assert [one["type"] for one in page["data"]] == ["training_run.created", "training_run.succeeded"]
        with client.stream("GET", path, headers={"Accept": "text/event-stream"}) as stream:
            lines = list(stream.iter_lines())
        assert [json.loads(line[5:]) for line in lines if line.startswith("data:")] == page["data"]
        resumed = client.get(path, headers={"Accept": "text/event-stream", "Last-Event-ID": page["first_id"]})
        assert resumed.text.count("event: ") == 1

    def test_checkpoints_are_listed_newest_first(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post()
        worker.claim(run["id"])
        for step in (0, 5, 5, 10):  # told twice, it is one
            worker.checkpoint(run["id"], step)
        worker.hand_back(run["id"])
        worker.claim(run["id"])
        worker.checkpoint(run["id"], 10)
        page = client.get(f"/v1/training_runs/{run['id']}/checkpoints").json()
        assert [(one["attempt"], one["step"]) for one in page["data"]] == [(2, 10), (1, 10), (1, 5), (1, 0)]
        first = page["data"][0]
        assert (first["object"], first["path"], first["bytes"]) == ("checkpoint", "/data/2/step_10", 110)
        rest = client.get(f"/v1/training_runs/{run['id']}/checkpoints", params={"after": first["id"], "limit": 2})
        assert [one["step"] for one in rest.json()["data"]] == [10, 5]
        assert rest.json()["has_more"] is True
