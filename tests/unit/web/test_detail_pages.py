"""The pages of single things, through the whole application; `worker` does what one would."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.events import (
    EventData,
    JobPauseRequested,
    JobStarted,
    ProbeProgress,
    TrainingProgress,
    TrainingResumed,
)
from gapcast.contract.forecasts import Forecast
from gapcast.contract.probes import Difference
from gapcast.contract.training_results import Phase
from gapcast.words import duration, on_track
from service.events import repository as events
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.probes import repository as probes
from service.slots import repository as slots
from service.web.rendering import typeset
from tests.support.asking import run_of
from tests.support.markup import Elements
from tests.support.training_results import evaluation, training_metrics, training_partial, training_result
from tests.unit.training_runs.conftest import Worker

Body = dict[str, Any]
NASTY = '</script><script>alert("model")</script>'
GAP = {"value": 0.3, "se": 0.03, "student": 0.25}


@pytest.fixture
def worker(client: TestClient) -> Worker:
    return Worker(client.app.state.gapcast.database)  # type: ignore[attr-defined]


@pytest.fixture
def prediction(client: TestClient, configuration: Body) -> Body:
    """One of a gap that was measured elsewhere."""
    del configuration["probe"]
    made = client.post("/v1/predictions", json=configuration | {"gap": GAP, "recipe": {"steps": 2000}})
    assert made.status_code == 200, made.text
    found: Body = made.json()
    return found


@pytest.fixture
def run(client: TestClient, prediction: Body) -> Body:
    made = client.post("/v1/training_runs", json={"prediction_id": prediction["id"]})
    assert made.status_code == 202, made.text
    found: Body = made.json()
    return found


def page(client: TestClient, path: str, **query: str) -> Elements:
    response = client.get(f"/{path}", params=query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return Elements(response.text)


def tell(client: TestClient, job_id: str, *told: EventData) -> None:
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        for one in told:
            events.add(session, "local", job_id, one)


class TestAnswers:
    def test_a_browser_that_has_one_is_not_sent_it_again(self, client: TestClient, prediction: Body) -> None:
        path = f"/predictions/{prediction['id']}"
        first = client.get(path)
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert "no-cache" in first.headers["cache-control"]
        assert "unsafe" not in first.headers["content-security-policy"]
        client.post("/v1/training_runs", json={"prediction_id": prediction["id"]})
        assert client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 200

    @pytest.mark.parametrize("path", ["predictions/pred_1", "training_runs/run_1"])
    def test_what_is_not_there_is_the_apis_problem(self, client: TestClient, path: str) -> None:
        response, api = client.get(f"/{path}"), client.get(f"/v1/{path}")
        assert (response.status_code, response.json()["detail"]) == (404, api.json()["detail"])
        assert response.headers["content-type"] == "application/problem+json"

    def test_text_of_people_is_escaped(self, client: TestClient, configuration: Body) -> None:
        del configuration["probe"]
        asked = configuration | {"model": {"name": NASTY, "family": NASTY}, "gap": GAP, "pool": "lab"}
        made = client.post("/v1/predictions", json=asked).json()
        for path in (f"/predictions/{made['id']}", "/predictions", "/"):
            text = client.get(path).text
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert" in text


class TestPrediction:
    def test_it_is_followed_from_its_queue_to_its_rollouts(self, client: TestClient, configuration: Body) -> None:
        made = client.post("/v1/predictions", json=configuration).json()
        path = f"predictions/{made['id']}"
        no_worker = "No worker for probes has been seen: start one with `gapcast worker`"
        found = page(client, path)
        assert found.text_of("#progress-text") == found.text_of("#live") == no_worker
        main = found.attributes_of("main")
        assert (main["data-live"], main["data-events"]) == (None, f"/v1/{path}/events"), "so that the browser follows it"
        assert "probe.progress" in (main["data-kinds"] or "").split()
        with client.app.state.gapcast.database.read() as session:  # type: ignore[attr-defined]
            probe = probes.by_id(session, made["probe_id"])
        with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
            jobs.claim(session, probe.job_id, "w", 60)
        tell(client, probe.job_id, JobStarted(attempt=1, worker="w"))
        found = page(client, path)
        assert found.text_of("#progress-text") == found.text_of("#live") == "Loading the model"
        assert "hidden" in found.attributes_of("#answer")
        steps = []
        for done in (100, 300):
            gap = Difference(value=-0.012, se=0.03)
            progress = ProbeProgress(done=done, total=2000, unit="rollouts", problems=25, gap=gap)
            with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
                job = jobs.get(session, probe.job_id)
                assert job is not None
                job.progress = progress.model_dump(mode="json")
            tell(client, probe.job_id, progress)
            found = page(client, path)
            assert found.text_of("#progress-text") == f"{done} of 2,000 rollouts"
            steps.append(found.attributes_of("#live")["data-step"])
        assert found.text_of("#progress-gap") == "Gap so far −1.2 ± 3.0 points, 25 problems"
        assert found.attributes_of("#progress-bar")["value"] == "300"
        assert steps[0] == steps[1], "not spoken again within a quarter"

    def test_an_answer_offers_a_run_with_the_first_free_seed(
        self, client: TestClient, prediction: Body, run: Body, worker: Worker
    ) -> None:
        path = f"predictions/{prediction['id']}"
        found = page(client, path)
        assert found.attributes_of("#train-seed")["value"] == "1"
        seconds = prediction["cost"]["training_seconds_estimate"]
        run_said = "2,000 steps on 128 training problems, 500 passes"
        assert found.text_of("#train-note") == f"{run_said}, about {duration(seconds)}."
        assert found.links("seed 0") == [f"/training_runs/{run['id']}"]
        assert "data-live" in found.attributes_of("main"), "its run goes on"
        worker.claim(run["id"])
        worker.end(run["id"], JobState.failed)
        assert page(client, path).attributes_of("#train-seed")["value"] == "0", "it left no observation"

    def test_what_is_not_known_is_left_out(self, client: TestClient, prediction: Body) -> None:
        found = page(client, f"predictions/{prediction['id']}")
        assert found.facts()["Probe"] == "measured elsewhere"
        assert not {"Net of placebo", "Placebo", "Rollouts", "Engine"} & set(found.facts())
        assert not found.has("[data-part=controls]")
        assert not found.has("[data-part=probe]")


class TestRun:
    def test_it_says_what_it_does(self, client: TestClient, run: Body, worker: Worker) -> None:
        path, job_id = f"training_runs/{run['id']}", worker.job_of(run["id"])

        def progress(done: int, phase: Phase) -> TrainingProgress:
            return TrainingProgress(done=done, total=2000, unit="steps", phase=phase)

        headline = "No worker for training runs has been seen: start one with `gapcast worker`"
        assert page(client, path).text_of("[data-slot=headline]") == headline
        worker.claim(run["id"])
        for told, headline in (
            (JobStarted(attempt=1, worker="w"), "Loading the model"),
            (progress(0, "baseline"), "Measuring baseline and gap"),
            (TrainingResumed(step=20), "Going on from its checkpoint"),
            (progress(21, "training"), "Training"),
            (JobPauseRequested(), "Pausing after this step"),
            (progress(22, "training"), "Pausing after this step"),
        ):
            tell(client, job_id, told)
            found = page(client, path)
            assert found.text_of("[data-slot=headline]") == headline
            assert found.text_of("#run-live").startswith(f"{headline}, ")

    def test_its_latest_loss_and_accuracy(self, client: TestClient, run: Body, worker: Worker) -> None:
        path = f"training_runs/{run['id']}"
        worker.claim(run["id"])
        worker.tell(run["id"], training_partial(evaluations=[]))
        assert page(client, path).text_of("[data-slot=latest]") == "accuracy 25.0 % before training"
        tell(client, worker.job_of(run["id"]), training_metrics(1, 0.12345))
        worker.tell(run["id"], training_partial(evaluations=[evaluation(held_out=None)]))
        found = page(client, path)
        assert found.text_of("[data-slot=latest]") == "loss 0.123 nats per token · accuracy 56.0 % at step 10"
        assert found.rows("#evaluations-rows") == [["10", "56.0 %", "+31.0 ± 4.0", ""]]
        tell(client, worker.job_of(run["id"]), training_metrics(2, None))
        assert page(client, path).text_of("[data-slot=latest]").startswith("no context, no loss · ")

    def test_it_says_if_it_is_on_track(self, client: TestClient, run: Body, worker: Worker) -> None:
        path, slot = f"training_runs/{run['id']}", "[data-slot=forecast]"
        worker.claim(run["id"])
        worker.tell(run["id"], training_partial(evaluations=[]))
        assert not page(client, path).has(slot)
        worker.tell(run["id"], training_partial(evaluations=[evaluation(held_out=None)]))
        forecast = Forecast.model_validate(client.get(f"/v1/{path}/forecast").json())
        assert page(client, path).text_of(slot) == typeset(on_track(forecast))
        worker.end(run["id"])
        assert not page(client, path).has(slot)

    def test_an_ended_one_is_judged(self, client: TestClient, run: Body, worker: Worker) -> None:
        worker.claim(run["id"])
        worker.end(run["id"], result=training_result(improvement=Difference(value=-0.2, se=0.04)))
        ended = client.get(f"/v1/training_runs/{run['id']}").json()
        found = page(client, f"training_runs/{run['id']}")
        assert found.text_of("[data-slot=headline]") == "Outside its 80 % interval"
        less = 100 * (ended["predicted"]["value"] + 0.2)
        assert found.text_of("[data-slot=text]") == (
            f"Its accuracy changed by −20.0 accuracy points, {less:.1f} less than predicted."
        )
        assert found.attributes_of("#run-now")["data-status"] == "ended"
        facts = found.facts()
        assert facts["Cost"] == "12 s, 2,560 rollouts, 20,480 tokens"
        assert facts["Predicted"].count("missed") == 2
        assert facts["Observation"] == f"obs_…{ended['observation_id'][-8:]}"

    def test_a_collapse_is_said(self, client: TestClient, run: Body, worker: Worker) -> None:
        worker.claim(run["id"])
        worker.end(run["id"], result=training_result(collapsed=True, stopped_by="collapse"))
        found = page(client, f"training_runs/{run['id']}")
        assert found.text_of("[data-slot=headline]") == "Collapsed"
        assert found.text_of("[data-slot=text]").endswith("lost beyond noise, and the run ended there.")

    def test_a_failed_one_says_why(self, client: TestClient, run: Body, worker: Worker) -> None:
        worker.claim(run["id"])
        worker.end(run["id"], JobState.failed)
        found = page(client, f"training_runs/{run['id']}")
        assert (found.text_of("[data-slot=headline]"), found.text_of("[data-slot=text]")) == ("Failed", "m")


class TestWaiting:
    def test_it_says_who_is_ahead_and_speaks_once(
        self, client: TestClient, configuration: Body, worker: Worker
    ) -> None:
        with worker.database.write() as session:
            slots.sign(session, "w", ["training"], 1)
        body = {"recipe": {"steps": 20}, "context": configuration["context"]} | run_of(configuration)
        first, second = (client.post("/v1/training_runs", json=body | {"seeds": [seed]}).json() for seed in (0, 1))
        path = f"training_runs/{second['id']}"
        assert page(client, path).text_of("[data-slot=headline]") == "Waiting for a worker, 1 job ahead"
        job = worker.claim(first["id"])
        steps = []
        for left in (720, 60):
            progress = {"done": 3, "total": 20, "unit": "steps", "phase": "training", "seconds_left": left}
            with worker.database.write() as session:
                jobs.heartbeat(session, job.id, job.attempt, 60, progress)
            found = page(client, path)
            said = f"Waiting for {first['id']} (about {duration(left)} left)"
            assert found.text_of("[data-slot=headline]") == said
            steps.append(found.attributes_of("#run-live")["data-step"])
        assert steps[0] == steps[1]
        assert client.get(f"/v1/training_runs/{first['id']}").json()["progress"].keys() == {
            *("done", "total", "unit", "phase", "rate", "seconds_left")
        }
