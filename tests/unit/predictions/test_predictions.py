"""Predictions on the API's side: what is shared, replayed, listed, cancelled; no worker runs here."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.base import JsonObject, Warned
from gapcast.contract.predictions import Answer
from gapcast.contract.probes import Control, Controls, Gap, Leak
from gapcast.words import warning
from service.fits import service as fits
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kinds import prepare, settle
from service.kit.database import Database
from service.predictions import answering
from service.predictions.answer import answer
from service.predictions.models import Prediction
from service.probes import repository as probes
from service.settings import Settings
from tests.support.databases import others_can_write
from tests.support.results import arm, probe_result, stored
from tests.support.rows import run

Body = dict[str, Any]


def database_of(client: TestClient) -> Database:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    return database


def job_of(client: TestClient, prediction: Body) -> str:
    with database_of(client).read() as session:
        probe = probes.by_id(session, prediction["probe_id"])
    return probe.job_id


RESULT = stored(probe_result())


def end_job(
    client: TestClient, job_id: str, state: JobState, error: Body | None = None, result: JsonObject = RESULT
) -> None:
    """Do what a worker does with a measured probe."""
    database = database_of(client)
    with database.write() as session:
        job = jobs.claim(session, job_id, "test", 60)
    assert job is not None
    prepared = prepare(database, job, result) if state == JobState.succeeded else None
    with database.write() as session:
        ended = jobs.finish(session, job_id, job.attempt, state, error)
        assert ended is not None
        if state == JobState.succeeded:
            probes.store_result(session, ended.subject_id, result)
        settle(session, ended, prepared)


def test_a_new_question_is_accepted_and_says_where_to_look(client: TestClient, configuration: Body) -> None:
    answer = client.post("/v1/predictions", json=configuration)
    assert answer.status_code == 202
    prediction = answer.json()
    assert prediction["status"] == "queued"
    assert answer.headers["location"] == f"/v1/predictions/{prediction['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert client.get(answer.headers["location"]).json() == prediction


def test_defaults_are_recorded(client: TestClient, configuration: Body) -> None:
    del configuration["probe"]
    request = client.post("/v1/predictions", json=configuration).json()["request"]
    assert request["probe"]["problems"] == 128
    assert request["probe"]["rollouts"] == 4
    assert request["decoding"]["max_tokens"] == 16
    assert request["recipe"]["steps"] == 150
    assert request["pool"] == "lab"
    assert request["model"]["family"] == "lab-qwen3"
    assert request["model"]["revision"].startswith("sha256:")
    assert request["context"]["options"]["corruption"] == {"rate": 0.0, "coverage": 1.0}


def test_the_same_question_twice_is_measured_once(client: TestClient, configuration: Body) -> None:
    first = client.post("/v1/predictions", json=configuration).json()
    second = client.post("/v1/predictions", json=configuration | {"levels": [0.5], "pool": "default"}).json()
    assert first["id"] != second["id"]
    assert first["probe_id"] == second["probe_id"]
    end_job(client, job_of(client, first), JobState.succeeded)
    ended = [client.get(f"/v1/predictions/{one['id']}").json() for one in (first, second)]
    assert [one["status"] for one in ended] == ["succeeded", "succeeded"]
    assert [interval["level"] for interval in ended[1]["improvement"]["intervals"]] == [0.5]


def test_a_stored_probe_answers_at_once(client: TestClient, configuration: Body) -> None:
    first = client.post("/v1/predictions", json=configuration).json()
    end_job(client, job_of(client, first), JobState.succeeded)
    answer = client.post("/v1/predictions", json=configuration)
    assert answer.status_code == 200
    assert answer.json()["status"] == "succeeded"
    assert answer.json()["gap"]["value"] == 0.3
    assert "retry-after" not in answer.headers


def test_another_seed_is_another_probe(client: TestClient, configuration: Body) -> None:
    first = client.post("/v1/predictions", json=configuration).json()
    second = client.post("/v1/predictions", json=configuration | {"probe": configuration["probe"] | {"seed": 1}}).json()
    assert first["probe_id"] != second["probe_id"]


def test_a_failed_probe_is_tried_again_by_the_next_question(client: TestClient, configuration: Body) -> None:
    first = client.post("/v1/predictions", json=configuration).json()
    error = {"code": "model_not_loaded", "message": "no such file", "param": "model", "category": "user"}
    end_job(client, job_of(client, first), JobState.failed, error)
    failed = client.get(f"/v1/predictions/{first['id']}").json()
    assert failed["status"] == "failed"
    assert failed["error"] == error
    second = client.post("/v1/predictions", json=configuration)
    assert second.status_code == 202
    assert second.json()["probe_id"] == first["probe_id"]
    end_job(client, job_of(client, second.json()), JobState.succeeded)
    assert client.get(f"/v1/predictions/{second.json()['id']}").json()["status"] == "succeeded"
    assert client.get(f"/v1/predictions/{first['id']}").json() == failed


def test_an_answer_says_what_it_rests_on(client: TestClient, configuration: Body) -> None:
    created = client.post("/v1/predictions", json=configuration | {"levels": [0.8, 0.95]}).json()
    end_job(client, job_of(client, created), JobState.succeeded)
    answer = client.get(f"/v1/predictions/{created['id']}").json()
    narrow, wide = answer["improvement"]["intervals"]
    assert wide["lower"] < narrow["lower"] < answer["improvement"]["value"] < narrow["upper"] < wide["upper"]
    assert answer["improvement"]["kind"] == "prediction"
    assert answer["law"]["slope_interval"][0] < answer["law"]["slope"] < answer["law"]["slope_interval"][1]
    assert answer["law"]["status"] == "fitted"
    assert answer["verdict"] == "train"
    assert answer["controls"]["placebo"]["value"] == -0.1
    assert answer["cost"]["probe_seconds"] == 1.5
    fit = client.get(f"/v1/fits/{answer['law']['fit_id']}").json()
    assert fit["pool"] == "lab"
    assert fit["n"] == len(client.get("/v1/observations?pool=lab&limit=100").json()["data"])


def test_a_gap_from_elsewhere_is_answered_at_once(client: TestClient) -> None:
    body = {
        "model": {"name": "Qwen/Qwen3-8B", "family": "qwen3"},
        "task": "livecodebench-v6",
        "context": {"kind": "feedback"},
        "gap": {"value": 0.2, "se": 0.02, "student": 0.4},
    }
    answer = client.post("/v1/predictions", json=body)
    assert answer.status_code == 200
    prediction = answer.json()
    assert prediction["request"]["pool"] == "default"
    assert prediction["law"]["status"] == "prior_only"
    assert [one["code"] for one in prediction["warnings"]] == ["prior_only"]
    assert prediction["gap"]["self_teacher"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("gap", "se", "verdict"), [(0.3, 0.02, "train"), (-0.2, 0.02, "skip"), (0.1, 0.2, "probe_more")]
)
def test_the_verdict_follows_the_80_percent_interval(client: TestClient, gap: float, se: float, verdict: str) -> None:
    body = {
        "model": {"name": "lab/addition-qwen3-s"},
        "task": "lab/addition",
        "context": {"kind": "hints", "options": {"level": 2}},
        "gap": {"value": gap, "se": se, "student": 0.3},
    }
    answer = client.post("/v1/predictions", json=body).json()
    assert answer["verdict"] == verdict, answer["improvement"]
    lower, upper = (answer["improvement"]["intervals"][0][end] for end in ("lower", "upper"))
    assert {"train": lower > 0, "skip": upper < 0, "probe_more": lower < 0 < upper}[verdict]


def codes(client: TestClient, change: Body) -> list[str]:
    body = {
        "model": {"name": "lab/addition-qwen3-s"},
        "task": "lab/addition",
        "context": {"kind": "hints", "options": {"level": 2}},
        "gap": {"value": 0.2, "se": 0.02, "student": 0.3},
    }
    answer = client.post("/v1/predictions", json=body | change).json()
    assert all(-1 <= one[end] <= 1 for one in answer["improvement"]["intervals"] for end in ("lower", "upper"))
    return [one["code"] for one in answer["warnings"]]


def test_warnings_say_what_the_pool_does_not_hold(client: TestClient) -> None:
    assert codes(client, {}) == ["only_on_training_problems"], "the lab's held-out problems gain nothing"
    assert codes(client, {"context": {"kind": "hints"}}) == ["new_context", "only_on_training_problems"]
    assert codes(client, {"recipe": {"divergence": "js"}}) == ["new_context", "cold_cell"]
    assert codes(client, {"recipe": {"teacher": "ema"}}) == ["prior_only"], "no strength from frozen teachers"
    assert codes(client, {"task": "another"}) == ["new_context", "cold_cell"]
    assert codes(client, {"pool": "default"}) == ["prior_only"]


def test_a_prediction_from_before_links_were_weighed_can_be_read(client: TestClient) -> None:
    body = {
        "model": {"name": "lab/addition-qwen3-s"},
        "task": "lab/addition",
        "context": {"kind": "hints"},
        "gap": {"value": 0.2, "se": 0.02, "student": 0.3},
    }
    made = client.post("/v1/predictions", json=body).json()
    with database_of(client).write() as session:
        stored = session.get_one(Prediction, made["id"])
        answer = json.loads(json.dumps(stored.answer))
        del answer["improvement"]["branches"]
        for name in ("links", "depends_on_link", "at_common_gap"):
            del answer["law"][name]
        stored.answer = answer
    law = client.get(f"/v1/predictions/{made['id']}").json()["law"]
    assert law["links"] == {"linear": 1, "tanh": 0, "exp": 0}
    assert (law["depends_on_link"], law["at_common_gap"], law["slope"]) == (False, None, made["law"]["slope"])


def test_a_tiny_probe_is_not_trusted(client: TestClient, configuration: Body) -> None:
    created = client.post("/v1/predictions", json=configuration).json()
    end_job(client, job_of(client, created), JobState.succeeded)
    answer = client.get(f"/v1/predictions/{created['id']}").json()
    assert "small_probe" in [one["code"] for one in answer["warnings"]]


def on_screen(answer: Body) -> Body:
    """Each warning as people read it, by its code, if that is not the API's sentence."""
    warned = [Warned.model_validate(one) for one in answer["warnings"]]
    return {one.code: warning(one) for one in warned if warning(one) != one.message}


def test_accuracies_in_warnings_are_shares_for_programs_and_points_on_a_screen(
    client: TestClient, configuration: Body
) -> None:
    far = configuration | {"probe": None, "gap": {"value": 0.85, "se": 0.02, "student": 0.1}}
    answer = client.post("/v1/predictions", json=far).json()
    assert {one["code"]: one["numbers"] for one in answer["warnings"]} == {
        "extrapolation": {"gap": 0.85},
        "refused": {"headroom": 0.9},
    }
    assert "gap 0.850 is" in answer["warnings"][0]["message"]
    assert on_screen(answer) == {
        "extrapolation": "The gap of +85.0 points is outside what was stored. Distrust the intervals until a run with "
        "such a gap is stored.",
        "refused": "An extrapolated prediction above 80 % of the headroom of 90.0 points is not made. Store runs with "
        "such a gap first.",
    }

    feedback = {"kind": "feedback"}
    asked = configuration | {"context": feedback, "probe": {"controls": ["placebo", "shuffled_feedback"]}}
    created = client.post("/v1/predictions", json=asked).json()
    off = Control(value=0.082, se=0.02)
    result = stored(probe_result(controls=Controls(none=off, placebo=off, shuffled_feedback=off)))
    end_job(client, job_of(client, created), JobState.succeeded, result=result)
    said = on_screen(client.get(f"/v1/predictions/{created['id']}").json())
    assert set(said) == {"none_control_off", "placebo_positive", "shuffled_feedback_positive"}
    assert all("+8.2 ± 2.0 points" in one for one in said.values())


SPOILED: list[tuple[Body, list[str]]] = [
    ({}, []),
    ({"leak": Leak(copied=0.9, contains_answer=0.9)}, ["answer_in_context"]),
    ({"leak": Leak(copied=0.1, contains_answer=0.9)}, []),
    ({"leak": Leak(copied=0.9, contains_answer=0.1)}, []),
    ({"truncated": 0.51}, ["truncated"]),
    ({"truncated": 0.5}, []),
    ({"contexts_missing": 0.51}, ["contexts_missing"]),
    ({"contexts_missing": 0.5}, []),
    ({"contexts_missing": 0.9, "context": {"corruption": {"coverage": 0.2}}}, []),
]
"""what a probe found or was asked, and why a run is not advised then"""


@pytest.mark.parametrize(("found", "codes"), SPOILED)
def test_a_gap_that_is_mostly_something_else_is_at_best_a_pilot(
    client: TestClient, configuration: Body, found: Body, codes: list[str]
) -> None:
    options = {"level": 2} | found.get("context", {})
    context = {"kind": "hints", "options": options}
    asked = configuration | {"context": context, "recipe": {}, "min_gain": 0.05, "pool": "lab"}
    created = client.post("/v1/predictions", json=asked).json()
    controls = Controls(leak=found["leak"]) if "leak" in found else Controls()
    arms = probe_result().arms | {"context": arm(truncated=found.get("truncated", 0.0))}
    result = stored(probe_result(controls=controls, arms=arms, contexts_missing=found.get("contexts_missing", 0.0)))
    end_job(client, job_of(client, created), JobState.succeeded, result=result)
    answer = client.get(f"/v1/predictions/{created['id']}").json()
    assert [one["code"] for one in answer["support"]["missing"]] == codes
    assert answer["verdict"] == ("pilot" if codes else "train")
    warned = {one["code"]: one["message"] for one in answer["warnings"]}
    for code in ("truncated", "contexts_missing"):
        if found.get(code) and "context" not in found:
            assert "Above 50 % a run is not advised." in warned[code], "a smaller share says why it does not decide"


def test_an_idempotency_key_replays(client: TestClient, configuration: Body) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = client.post("/v1/predictions", json=configuration, headers=headers)
    again = client.post("/v1/predictions", json=configuration, headers=headers)
    assert again.json()["id"] == first.json()["id"]
    other = client.post("/v1/predictions", json=configuration | {"min_gain": 0.1}, headers=headers)
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"
    assert len(client.get("/v1/predictions").json()["data"]) == 1


def test_lists_page_by_id(client: TestClient, configuration: Body) -> None:
    made = [client.post("/v1/predictions", json=configuration).json()["id"] for _ in range(5)]
    first = client.get("/v1/predictions?limit=2").json()
    assert [one["id"] for one in first["data"]] == made[:2:-1]
    assert first["has_more"] is True
    second = client.get(f"/v1/predictions?limit=2&after={first['last_id']}").json()
    assert [one["id"] for one in second["data"]] == made[2:0:-1]
    last = client.get(f"/v1/predictions?limit=2&after={second['last_id']}").json()
    assert [one["id"] for one in last["data"]] == made[:1]
    assert last["has_more"] is False
    assert [one["id"] for one in client.get("/v1/predictions?order=asc").json()["data"]] == made


def test_cancel_ends_the_prediction_and_its_job(client: TestClient, configuration: Body) -> None:
    created = client.post("/v1/predictions", json=configuration).json()
    answer = client.post(f"/v1/predictions/{created['id']}/cancel")
    assert answer.json()["status"] == "cancelled"
    with database_of(client).read() as session:
        job = jobs.get(session, job_of(client, created))
    assert job is not None
    assert job.state == "cancelled"
    assert client.post(f"/v1/predictions/{created['id']}/cancel").status_code == 409


def test_cancel_leaves_a_job_that_others_wait_for(client: TestClient, configuration: Body) -> None:
    first = client.post("/v1/predictions", json=configuration).json()
    second = client.post("/v1/predictions", json=configuration).json()
    client.post(f"/v1/predictions/{first['id']}/cancel")
    end_job(client, job_of(client, second), JobState.succeeded)
    assert client.get(f"/v1/predictions/{second['id']}").json()["status"] == "succeeded"
    assert client.get(f"/v1/predictions/{first['id']}").json()["status"] == "cancelled"


def test_the_queue_has_an_end(client: TestClient, settings: Settings, configuration: Body) -> None:
    state = client.app.state.gapcast  # type: ignore[attr-defined]
    state.settings = settings.model_copy(update={"max_queued_jobs": 1})
    client.post("/v1/predictions", json=configuration)
    body = configuration | {"probe": {"problems": 16, "rollouts": 2, "seed": 7}}
    answer = client.post("/v1/predictions", json=body)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert client.post("/v1/predictions", json=configuration).status_code == 202, "sharing a probe needs no room"


def test_events_tell_the_story_as_json_and_as_a_stream(client: TestClient, configuration: Body) -> None:
    created = client.post("/v1/predictions", json=configuration).json()
    end_job(client, job_of(client, created), JobState.succeeded)
    path = f"/v1/predictions/{created['id']}/events"
    page = client.get(path).json()
    assert [one["type"] for one in page["data"]] == ["prediction.created", "prediction.succeeded"]
    with client.stream("GET", path, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = list(stream.iter_lines())
    assert [json.loads(line[5:]) for line in lines if line.startswith("data:")] == page["data"]
    resumed = client.get(path, headers={"Accept": "text/event-stream", "Last-Event-ID": page["data"][0]["id"]})
    assert resumed.text.count("event: ") == 1
    assert client.get(path, params={"limit": 1}).json()["has_more"] is True
    assert client.get(path, params={"after": "x"}).status_code == 422


def test_prefer_wait_waits_no_longer_than_asked(client: TestClient, configuration: Body) -> None:
    answer = client.post("/v1/predictions", json=configuration, headers={"Prefer": "respond-async, wait=1"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait=1"


def test_a_law_that_cannot_be_evaluated_fails_the_prediction_and_not_the_job(
    client: TestClient, configuration: Body
) -> None:
    created = client.post("/v1/predictions", json=configuration).json()
    job_id = job_of(client, created)
    far = Gap(value=7.0, se=0.03, student=0.25, self_teacher=0.55)
    with database_of(client).write() as session:
        job = jobs.claim(session, job_id, "test", 60)
        assert job is not None
        ended = jobs.finish(session, job_id, job.attempt, JobState.succeeded)
        assert ended is not None
        probes.store_result(session, ended.subject_id, stored(probe_result(gap=far)))
        settle(session, ended)
    answer = client.get(f"/v1/predictions/{created['id']}").json()
    assert answer["status"] == "failed"
    assert answer["error"]["code"] == "law_error"


def test_a_fit_that_fails_loses_no_measurement(
    client: TestClient, configuration: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.app.state.gapcast.refitter.stop()  # type: ignore[attr-defined]

    def store(baseline: float) -> None:
        rows = {"observations": [run(family="lab-qwen3", baseline=baseline)]}
        assert client.post("/v1/observations", params={"pool": "mine"}, json=rows).status_code == 201

    def broken(*_: Any) -> fits.Draft:
        raise ZeroDivisionError

    store(0.3)
    created = client.post("/v1/predictions", json=configuration | {"pool": "mine"}).json()
    store(0.35)
    monkeypatch.setattr(fits, "draft", broken)
    end_job(client, job_of(client, created), JobState.succeeded)
    answered = client.get(f"/v1/predictions/{created['id']}").json()
    assert answered["status"] == "succeeded"
    assert "fit_behind" in [warning["code"] for warning in answered["warnings"]]


def test_the_law_is_asked_while_others_can_write(
    client: TestClient, configuration: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, was_locked = database_of(client), list[bool]()

    def noted(*asked: Any) -> Answer:
        was_locked.append(not others_can_write(database))
        return answer(*asked)

    monkeypatch.setattr(answering, "answer", noted)
    created = client.post("/v1/predictions", json=configuration).json()
    assert was_locked == []
    end_job(client, job_of(client, created), JobState.succeeded)
    assert client.get(f"/v1/predictions/{created['id']}").json()["status"] == "succeeded"
    given = {name: value for name, value in configuration.items() if name != "probe"}
    given["gap"] = {"value": 0.2, "se": 0.02, "student": 0.4}
    for asked, status in ((configuration, 200), (given, 200), ([configuration, given, given], 200)):
        assert client.post("/v1/predictions", json=asked).status_code == status
    assert was_locked == [False] * 6


def test_a_prediction_that_was_asked_for_at_the_last_moment_is_answered_too(
    client: TestClient, configuration: Body
) -> None:
    first = client.post("/v1/predictions", json=configuration).json()
    database, job_id = database_of(client), job_of(client, first)
    with database.write() as session:
        job = jobs.claim(session, job_id, "test", 60)
    assert job is not None
    prepared = prepare(database, job, RESULT)
    second = client.post("/v1/predictions", json=configuration | {"levels": [0.5]}).json()
    with database.write() as session:
        ended = jobs.finish(session, job_id, job.attempt, JobState.succeeded)
        assert ended is not None
        probes.store_result(session, ended.subject_id, RESULT)
        settle(session, ended, prepared)
    found = [client.get(f"/v1/predictions/{one['id']}").json() for one in (first, second)]
    assert [one["status"] for one in found] == ["succeeded"] * 2
    assert found[0]["improvement"]["value"] == found[1]["improvement"]["value"]
