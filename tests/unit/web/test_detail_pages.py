"""The pages of single things, through the whole application; `worker` does what one would."""

import re
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
from gapcast.contract.needs import Offer
from gapcast.contract.predictions import PredictionOut
from gapcast.contract.probes import Difference
from gapcast.contract.samples import Sample
from gapcast.contract.training_results import Phase
from gapcast.sample_words import FLIPS
from gapcast.words import duration, in_short, on_track, points
from service.events import repository as events
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kinds import settle
from service.kit.database import Database
from service.probes import repository as probes
from service.samples import service as samples
from service.settings import Settings
from service.slots import repository as slots
from service.web.rendering import typeset
from tests.support.asking import run_of
from tests.support.markup import Elements
from tests.support.results import probe_result, stored
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


def tell_result(database: Database, probe_id: str) -> None:
    """End a probe as its worker would."""
    with database.write() as session:
        job = jobs.claim(session, probes.by_id(session, probe_id).job_id, "test", 60)
        assert job is not None
        ended = jobs.finish(session, job.id, job.attempt, JobState.succeeded)
        assert ended is not None
        probes.store_result(session, probe_id, stored(probe_result()))
        settle(session, ended)


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
    @pytest.mark.parametrize(("target", "most"), [({}, ""), ({"target_half_width": 0.14}, "at most ")])
    def test_it_is_followed_from_its_queue_to_its_rollouts(
        self, client: TestClient, configuration: Body, target: Body, most: str
    ) -> None:
        asked = configuration | {"probe": configuration["probe"] | target}
        made = client.post("/v1/predictions", json=asked).json()
        path = f"predictions/{made['id']}"
        no_worker = "No worker for probes has been seen: start one with `gapcast worker`"
        found = page(client, path)
        assert found.text_of("#live") == no_worker
        assert found.text_of("#progress-text") == no_worker.replace("`", "")
        main = found.attributes_of("main")
        assert (main["data-live"], main["data-events"]) == (None, f"/v1/{path}/events"), (
            "so that the browser follows it"
        )
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
            assert found.text_of("#progress-text") == f"{done} of {most}2,000 rollouts"
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


class TestCameOut:
    def test_what_was_measured_stands_before_what_was_predicted(
        self, client: TestClient, prediction: Body, run: Body, worker: Worker
    ) -> None:
        path, value = f"predictions/{prediction['id']}", prediction["improvement"]["value"]
        found = page(client, path)
        assert found.text_of("[data-slot=verdict]").startswith(
            f"Run a pilot first: {typeset(points(value))} points (80 %"
        )
        assert not found.has("[data-slot=came]")
        worker.claim(run["id"])
        worker.end(run["id"], result=training_result(improvement=Difference(value=-0.2, se=0.04)))
        found = page(client, path)
        said = f"Seed 0 gained −20.0 ± 4.0 points; {typeset(points(value))} was predicted."
        assert found.text_of("[data-slot=came]") == said
        assert "It came outside its interval." in found.text_of("[data-slot=verdict-box]")
        assert found.attributes_of("[data-slot=verdict-box]")["data-verdict"] != "train"
        assert "Measured, seed 0 −20.0" in (found.attributes_of("[role=img]")["aria-label"] or "")
        assert "data-live" not in found.attributes_of("main")

    def test_its_nearest_stored_runs_lead_to_their_observations(self, client: TestClient, configuration: Body) -> None:
        del configuration["probe"]
        made = client.post("/v1/predictions", json=configuration | {"gap": GAP, "pool": "lab"}).json()
        nearest = made["support"]["nearest"]
        assert nearest
        addresses = [one["href"] for one in page(client, f"predictions/{made['id']}").named("a")]
        for one in nearest:
            address = f"/observations/{one['observation_id']}"
            assert address in addresses
            assert client.get(address).status_code == 200


class TestButtons:
    def test_a_prediction_is_trained(self, client: TestClient, prediction: Body) -> None:
        address = f"/predictions/{prediction['id']}"
        shown = client.post(address, data={"do": "train", "seed": "7"})
        assert shown.status_code == 200
        [run] = client.get("/v1/training_runs").json()["data"]
        assert (run["seed"], run["prediction_id"]) == (7, prediction["id"])
        assert shown.url.path == f"/training_runs/{run['id']}"
        again = client.post(address, data={"do": "train", "seed": "7"})
        assert (again.status_code, again.url.path) == (409, address)
        assert f"seed 7 is {run['id']}" in Elements(again.text).text_of("#refused")
        assert "seeds.0: expected" in client.post(address, data={"do": "train", "seed": "x"}).text
        assert client.post("/predictions/pred_1", data={"do": "train", "seed": "1"}).status_code == 404
        other = client.post(address, data={"do": "resume"})
        assert (other.status_code, Elements(other.text).text_of("#refused")) == (
            422,
            "do: expected a button of this page, got 'resume'.",
        )

    def test_a_run_is_paused_resumed_and_cancelled_and_told_if_it_cannot_be(
        self, client: TestClient, run: Body, worker: Worker
    ) -> None:
        address = f"/training_runs/{run['id']}"
        worker.claim(run["id"])
        shown = page(client, address[1:])
        assert {one["action"] for one in shown.named("form")} == {address}
        assert [one["value"] for one in shown.named("button") if one.get("name") == "do"] == ["pause", "cancel"]
        assert client.post(address, data={"do": "pause"}).url.path == address
        refused = client.post(address, data={"do": "resume"})
        assert (refused.status_code, refused.headers["content-type"]) == (409, "text/html; charset=utf-8")
        assert refused.url.path == address
        assert Elements(refused.text).text_of("#refused").startswith(f"{run['id']} ")
        assert client.post(address, data={"do": "cancel"}).status_code == 200
        foreign = client.post(address, data={"do": "cancel"}, headers={"sec-fetch-site": "cross-site"})
        assert foreign.status_code == 403

    @pytest.mark.parametrize("path", ["predictions", "probes"])
    def test_what_is_measured_is_cancelled(self, client: TestClient, configuration: Body, path: str) -> None:
        made = client.post("/v1/predictions", json=configuration).json()
        one_id = made["id"] if path == "predictions" else made["probe_id"]
        shown = client.post(f"/{path}/{one_id}", data={"do": "cancel"})
        assert (shown.status_code, shown.url.path) == (200, f"/{path}/{one_id}")
        assert client.get(f"/v1/{path}/{one_id}").json()["status"] == "cancelled"


class TestAddresses:
    def test_those_of_earlier_versions_lead_on(self, client: TestClient) -> None:
        for old, new in (
            ("?prediction=pred_1", "/predictions/pred_1"),
            ("?run=run_1", "/training_runs/run_1"),
            ("?comparison=cmp_1&prediction=pred_1", "/predictions/pred_1"),
            ("?comparison=cmp_1", "/comparisons/cmp_1"),
            ("?recommendation=rec_1", "/recommendations/rec_1"),
            ("?prediction=//elsewhere", "/predictions/%2F%2Felsewhere"),
        ):
            answer = client.get(f"/{old}", follow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (308, new)

    def test_a_browser_reads_what_went_wrong_and_a_program_gets_a_problem(self, client: TestClient) -> None:
        browser = {"accept": "text/html,application/xhtml+xml"}
        for path, said in (
            ("/predictions/pred_1", "There is no prediction 'pred_1'."),
            (f"/nothing{NASTY}", "There is no path"),
            ("/observations/obs_1", "obs_1"),
        ):
            answer = client.get(path, headers=browser)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
            found = Elements(answer.text)
            assert found.text_of("h1") == "Not Found"
            assert said in found.text_of("main")
            assert "<script>alert" not in answer.text
            assert client.get(path).headers["content-type"] == "application/problem+json"
        assert (
            client.get("/v1/predictions/pred_1", headers=browser).headers["content-type"] == "application/problem+json"
        )

    def test_every_page_has_a_title_of_its_own_and_one_head(
        self, client: TestClient, prediction: Body, run: Body
    ) -> None:
        titles = set()
        for path in (f"predictions/{prediction['id']}", f"training_runs/{run['id']}"):
            found = page(client, path)
            titles.add(found.text_of("title"))
            assert len(found.named("h1")) == len(found.named("main")) == 1
        assert len(titles) == 2


class TestRollouts:
    def test_flips_come_first_with_what_both_wrote_as_text(self, client: TestClient, configuration: Body) -> None:
        made = client.post("/v1/predictions", json=configuration).json()
        database = client.app.state.gapcast.database  # type: ignore[attr-defined]
        nasty = "\N{RIGHT-TO-LEFT OVERRIDE}" + NASTY + "x" * 100_000
        with database.write() as session:
            rows = [
                Sample(
                    problem_id=problem, rollout=0, arm=arm, prompt="1+1", completion=nasty, score=float(arm == right)
                )
                for problem, right in (("lost", "student"), ("gained", "context"))
                for arm in ("student", "context")
            ]
            samples.store(session, "local", made["probe_id"], rows, Settings())
        found = page(client, f"probes/{made['probe_id']}")
        assert not found.has("[data-part=rollouts]"), "nothing is measured yet"
        tell_result(database, made["probe_id"])
        response = client.get(f"/probes/{made['probe_id']}")
        assert "<script>alert" not in response.text
        assert len(response.text) < 60_000, "long texts are shown in part"
        titles = re.findall(r"<summary><bdi>(.*?)</bdi>", response.text)
        assert titles == [f"{flip}, {words}" for flip, words in FLIPS.items()]
        answered = page(client, f"predictions/{made['id']}")
        assert answered.text_of("[data-part=rollouts]").startswith("What the model wrote gained, ")
        assert answered.links("Its probe") == [f"/probes/{made['probe_id']}"]


class TestWaiting:
    def test_it_says_who_is_ahead_and_speaks_once(
        self, client: TestClient, configuration: Body, worker: Worker
    ) -> None:
        with worker.database.write() as session:
            slots.sign(session, "test", ["training"], 1, Offer())
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


class TestHome:
    def test_it_says_what_goes_on_what_was_decided_and_how_predictions_turned_out(
        self, client: TestClient, prediction: Body, run: Body, worker: Worker
    ) -> None:
        found = page(client, "")
        assert f"/training_runs/{run['id']}" in [one["href"] for one in found.named("a")]
        assert "Run · Waiting for a worker" in found.text_of("#glance")
        said = in_short(PredictionOut.model_validate(prediction))
        assert typeset(said) in found.text_of("#glance")
        assert "No prediction has met its outcome yet." in found.text_of("#glance")
        worker.claim(run["id"])
        worker.end(run["id"], result=training_result(improvement=Difference(value=-0.2, se=0.04)))
        client.get("/v1/fits/current?pool=default")
        found = page(client, "")
        assert "hx-get" not in found.attributes_of("#glance"), "nothing goes on"
        assert "Outside its 80 % interval." in found.text_of("#glance")
        assert "Pool default: Of 1 outcome, 0 came inside" in found.text_of("#glance")
