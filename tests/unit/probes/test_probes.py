"""Probes on the API's side: asked for, shared, listed, cancelled, and what remains of them; no worker runs here."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kinds import settle
from service.kit.database import Database
from service.probes import repository as probes
from tests.support.results import probe_result, stored

pytestmark = pytest.mark.slow

Body = dict[str, Any]

RESULT = stored(probe_result())


def database_of(client: TestClient) -> Database:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    return database


def job_of(client: TestClient, probe_id: str) -> str:
    with database_of(client).read() as session:
        return probes.by_id(session, probe_id).job_id


def claim(client: TestClient, probe_id: str) -> str:
    job_id = job_of(client, probe_id)
    with database_of(client).write() as session:
        assert jobs.claim(session, job_id, "test", 60) is not None
    return job_id


def end(client: TestClient, probe_id: str, state: JobState, error: Body | None = None) -> None:
    """Do what a worker does at the end of an attempt that it has claimed."""
    with database_of(client).write() as session:
        job = jobs.get(session, job_of(client, probe_id))
        assert job is not None
        ended = jobs.finish(session, job.id, job.attempt, state, error)
        assert ended is not None
        if state == JobState.succeeded:
            probes.store_result(session, probe_id, RESULT)
        settle(session, ended)


@pytest.fixture
def asked(configuration: Body) -> Body:
    return configuration


class TestCreate:
    def test_is_accepted_once_and_answers_at_once_when_measured(self, client: TestClient, asked: Body) -> None:
        first = client.post("/v1/probes", json=asked)
        assert (first.status_code, first.json()["status"]) == (202, "queued")
        assert client.get(first.headers["location"]).json() == first.json()
        again = client.post("/v1/probes", json=asked)
        assert again.json()["id"] == first.json()["id"]
        claim(client, first.json()["id"])
        end(client, first.json()["id"], JobState.succeeded)
        done = client.post("/v1/probes", json=asked)
        assert (done.status_code, done.json()["status"], done.json()["result"]) == (200, "succeeded", RESULT)

    def test_shares_its_measurement_with_predictions(self, client: TestClient, asked: Body) -> None:
        probe = client.post("/v1/probes", json=asked).json()
        prediction = client.post("/v1/predictions", json=asked).json()
        assert prediction["probe_id"] == probe["id"]

    def test_everything_that_counts_depend_on_is_recorded(self, client: TestClient, asked: Body) -> None:
        made = client.post("/v1/probes", json=asked).json()["configuration"]
        assert made["controls"] == ["placebo"]
        assert made["group_size"] is None
        assert (made["engine"], made["target_se"]) == ("auto", None)
        peers = client.post("/v1/probes", json=asked | {"context": {"kind": "peer_solution"}, "group_size": 8}).json()
        assert peers["configuration"]["group_size"] == 8

    def test_the_groups_size_matters_only_to_contexts_made_of_groups(self, client: TestClient, asked: Body) -> None:
        one, two = (client.post("/v1/probes", json=asked | {"group_size": size}).json()["id"] for size in (4, 8))
        assert one == two

    def test_a_wanted_width_becomes_a_standard_error(self, client: TestClient, asked: Body) -> None:
        made = client.post("/v1/probes", json=asked | {"target_gap_half_width": 0.392}).json()
        assert made["configuration"]["target_se"] == pytest.approx(0.2)

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"probe": {"target_half_width": 0.1}}, "probe.target_half_width"),
            ({"probe": {"problems": 513}}, "probe.problems"),
            ({"probe": {"engine": "vllm-server"}}, "probe.engine"),
            ({"probe": {"controls": ["shuffled_feedback"]}}, "probe.controls"),
            ({"context": {"kind": "none"}, "probe": {"controls": ["placebo"]}}, "probe.controls"),
            ({"context": {"kind": "column"}}, "context.kind"),
            ({"context": {"kind": "hints", "options": {"source": "model", "level": 2}}}, "context.options"),
            ({"model": {"name": "somebody/elses"}}, "model.name"),
            ({"task": "somebody/elses"}, "task"),
            ({"target_gap_half_width": 0}, "target_gap_half_width"),
            ({"target_gap_half_width": 0.001}, "target_gap_half_width"),
            ({"task": "gapcast/functions"}, "decoding.max_tokens"),
            ({"recipe": {}}, "recipe"),
            ({"decoding": {"thinking": True}}, "decoding.thinking"),
            ({"decoding": {"max_tokens": 256}}, "decoding.max_tokens"),
        ],
    )
    def test_what_does_not_fit_names_its_field(self, client: TestClient, asked: Body, change: Body, param: str) -> None:
        answer = client.post("/v1/probes", json=asked | change)
        assert answer.status_code == 422
        assert answer.json()["param"].startswith(param)
        assert client.get("/v1/probes").json()["data"] == []

    def test_a_key_replays(self, client: TestClient, asked: Body) -> None:
        key = {"Idempotency-Key": "k"}
        first = client.post("/v1/probes", json=asked, headers=key).json()
        assert client.post("/v1/probes", json=asked, headers=key).json()["id"] == first["id"]
        other = client.post("/v1/probes", json=asked | {"group_size": 7}, headers=key)
        assert other.status_code == 422

    def test_a_replay_of_what_was_cancelled_starts_nothing(self, client: TestClient, asked: Body) -> None:
        key = {"Idempotency-Key": "k"}
        first = client.post("/v1/probes", json=asked, headers=key).json()
        client.post(f"/v1/probes/{first['id']}/cancel")
        job_id = job_of(client, first["id"])
        again = client.post("/v1/probes", json=asked, headers=key)
        assert (again.status_code, again.json()["id"], again.json()["status"]) == (200, first["id"], "cancelled")
        assert job_of(client, first["id"]) == job_id

    def test_a_replay_answers_though_the_task_has_changed_since(self, client: TestClient, asked: Body) -> None:
        def upload(problems: int) -> None:
            lines = [
                f'{{"prompt": "{number}", "answer": "1", "reference_solution": "1"}}' for number in range(problems)
            ]
            query = {"name": "mine", "verifier": "exact", "max_tokens": 16, "accept": "true"}
            sent = {"Content-Type": "application/x-ndjson"}
            assert client.post("/v1/tasks", params=query, content="\n".join(lines), headers=sent).status_code == 201

        upload(16)
        body, key = asked | {"task": "mine", "context": {"kind": "reference_solution"}}, {"Idempotency-Key": "k"}
        first = client.post("/v1/probes", json=body, headers=key).json()
        for problems in (17, 2):  # another revision; one that has too few problems for this request
            upload(problems)
            again = client.post("/v1/probes", json=body, headers=key)
            assert (again.status_code, again.json()) == (202, first)

    def test_a_refused_request_takes_no_key(self, client: TestClient, asked: Body) -> None:
        key = {"Idempotency-Key": "k"}
        assert client.post("/v1/probes", json=asked | {"task": "none"}, headers=key).status_code == 422
        assert client.post("/v1/probes", json=asked, headers=key).status_code == 202


class TestList:
    def test_is_paged_and_leaves_out_what_grows_with_the_problems(self, client: TestClient, asked: Body) -> None:
        ids = [
            client.post("/v1/probes", json=asked | {"probe": {"problems": 16, "seed": seed}}).json()["id"]
            for seed in range(3)
        ]
        claim(client, ids[2])
        end(client, ids[2], JobState.succeeded)
        page = client.get("/v1/probes?limit=2").json()
        assert [one["id"] for one in page["data"]] == [ids[2], ids[1]]
        assert page["has_more"]
        assert page["data"][0]["result"]["problem_ids"] is None
        assert page["data"][0]["result"]["arms"]["student"]["counts"] is None
        assert page["data"][0]["result"]["gap"] == RESULT["gap"]
        rest = client.get(f"/v1/probes?after={page['last_id']}").json()
        assert [one["id"] for one in rest["data"]] == [ids[0]]


class TestCancel:
    def test_a_queued_probe_ends_with_whatever_waits_for_it(self, client: TestClient, asked: Body) -> None:
        prediction = client.post("/v1/predictions", json=asked).json()
        probe = client.post("/v1/probes", json=asked).json()
        cancelled = client.post(f"/v1/probes/{probe['id']}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        assert client.get(f"/v1/predictions/{prediction['id']}").json()["status"] == "cancelled"
        again = client.post(f"/v1/probes/{probe['id']}/cancel")
        assert (again.status_code, again.json()["code"]) == (409, "conflict")

    def test_what_was_measured_is_kept_until_a_result_replaces_it(self, client: TestClient, asked: Body) -> None:
        probe = client.post("/v1/probes", json=asked).json()
        claim(client, probe["id"])
        with database_of(client).write() as session:
            probes.store_partial(session, probe["id"], stored(probe_result(contexts_missing=0.5)))
        assert client.post(f"/v1/probes/{probe['id']}/cancel").json()["status"] == "running"  # until its worker hears
        end(client, probe["id"], JobState.cancelled)
        shown = client.get(f"/v1/probes/{probe['id']}").json()
        assert (shown["status"], shown["result"]) == ("cancelled", None)
        assert shown["partial"]["contexts_missing"] == 0.5
        retried = client.post("/v1/probes", json=asked).json()
        assert (retried["id"], retried["status"]) == (probe["id"], "queued")
        assert retried["partial"] == shown["partial"]
        claim(client, probe["id"])
        end(client, probe["id"], JobState.succeeded)
        whole = client.get(f"/v1/probes/{probe['id']}").json()
        assert (whole["result"], whole["partial"]) == (RESULT, None)

    def test_a_probe_that_was_asked_for_outlives_its_predictions(self, client: TestClient, asked: Body) -> None:
        prediction = client.post("/v1/predictions", json=asked).json()
        client.post("/v1/probes", json=asked)
        client.post(f"/v1/predictions/{prediction['id']}/cancel")
        assert client.get(f"/v1/probes/{prediction['probe_id']}").json()["status"] == "queued"

    def test_a_probe_that_only_predictions_wait_for_does_not(self, client: TestClient, asked: Body) -> None:
        prediction = client.post("/v1/predictions", json=asked).json()
        client.post(f"/v1/predictions/{prediction['id']}/cancel")
        assert client.get(f"/v1/probes/{prediction['probe_id']}").json()["status"] == "cancelled"

    @pytest.mark.parametrize("how", [JobState.cancelled, JobState.failed])
    def test_who_asked_for_an_ended_job_does_not_keep_the_next(
        self, client: TestClient, asked: Body, how: JobState
    ) -> None:
        probe = client.post("/v1/probes", json=asked).json()
        if how == JobState.cancelled:
            client.post(f"/v1/probes/{probe['id']}/cancel")
        else:
            claim(client, probe["id"])
            end(client, probe["id"], how)
        prediction = client.post("/v1/predictions", json=asked).json()
        assert prediction["probe_id"] == probe["id"]
        client.post(f"/v1/predictions/{prediction['id']}/cancel")
        assert client.get(f"/v1/probes/{probe['id']}").json()["status"] == "cancelled"

    def test_a_probe_that_is_asked_for_again_is_kept_again(self, client: TestClient, asked: Body) -> None:
        probe = client.post("/v1/probes", json=asked).json()
        client.post(f"/v1/probes/{probe['id']}/cancel")
        client.post("/v1/probes", json=asked)
        prediction = client.post("/v1/predictions", json=asked).json()
        client.post(f"/v1/predictions/{prediction['id']}/cancel")
        assert client.get(f"/v1/probes/{probe['id']}").json()["status"] == "queued"

    @pytest.mark.parametrize("path", ["", "/events", "/cancel"])
    def test_another_id_is_not_found(self, client: TestClient, path: str) -> None:
        method = client.post if path == "/cancel" else client.get
        assert method(f"/v1/probes/probe_none{path}").status_code == 404


class TestEvents:
    def test_a_page_and_a_stream_that_ends_with_the_probe(self, client: TestClient, asked: Body) -> None:
        probe = client.post("/v1/probes", json=asked).json()
        client.post(f"/v1/probes/{probe['id']}/cancel")
        page = client.get(f"/v1/probes/{probe['id']}/events").json()
        assert [event["type"] for event in page["data"]] == ["probe.cancel_requested"]
        stream = client.get(f"/v1/probes/{probe['id']}/events", headers={"Accept": "text/event-stream"})
        assert "event: probe.cancel_requested" in stream.text

    def test_a_new_job_does_not_begin_with_the_end_of_the_last(self, client: TestClient, asked: Body) -> None:
        probe = client.post("/v1/probes", json=asked).json()
        client.post(f"/v1/probes/{probe['id']}/cancel")
        client.post("/v1/probes", json=asked)
        assert client.get(f"/v1/probes/{probe['id']}/events").json()["data"] == []


class TestAnswer:
    def test_a_prediction_shows_the_controls_and_the_cost(self, client: TestClient, asked: Body) -> None:
        prediction = client.post("/v1/predictions", json=asked).json()
        claim(client, prediction["probe_id"])
        end(client, prediction["probe_id"], JobState.succeeded)
        shown = client.get(f"/v1/predictions/{prediction['id']}").json()
        assert shown["cost"]["probe_gpu_hours"] == 0.25
        assert shown["probe"]["net_gap"] == RESULT["net_gap"]
        assert shown["controls"]["shuffled_feedback"] is None

    def test_a_target_below_the_floor_is_refused_with_the_floor(self, client: TestClient, asked: Body) -> None:
        answer = client.post("/v1/predictions", json=asked | {"probe": {"problems": 64, "target_half_width": 0.001}})
        assert (answer.status_code, answer.json()["param"]) == (422, "probe.target_half_width")
        assert "even with an exactly known gap" in answer.json()["detail"]

    def test_a_target_above_it_makes_the_probe_sequential(self, client: TestClient, asked: Body) -> None:
        prediction = client.post(
            "/v1/predictions", json=asked | {"probe": {"problems": 64, "target_half_width": 0.2}}
        ).json()
        probe = client.get(f"/v1/probes/{prediction['probe_id']}").json()
        assert 0.005 < probe["configuration"]["target_se"] < 0.2


class TestOlderRows:
    def test_what_the_first_version_stored_is_shown_and_answered_from(self, client: TestClient, asked: Body) -> None:
        prediction = client.post("/v1/predictions", json=asked).json()
        claim(client, prediction["probe_id"])
        end(client, prediction["probe_id"], JobState.succeeded)
        names = {"gap", "arms", "problem_ids", "controls", "contexts_missing", "variance"}
        old = probe_result().model_dump(mode="json", include=names) | {"seconds": {"load": 3.5, "probe": 1.5}}
        for arm in old["arms"].values():
            del arm["contexts_missing"]
        with database_of(client).write() as session:
            row = probes.by_id(session, prediction["probe_id"])
            row.result = old
            newer = {"model_options", "group_size", "target_se", "engine"}
            row.configuration = {name: value for name, value in row.configuration.items() if name not in newer}
        shown = client.get(f"/v1/probes/{prediction['probe_id']}").json()
        assert shown["configuration"]["engine"] == "auto"
        assert shown["result"]["gap"] == RESULT["gap"]
        assert (shown["result"]["cost"], shown["result"]["arms"]["student"]["contexts_missing"]) == (None, {})
        again = client.post("/v1/predictions", json=asked).json()
        assert (again["status"], again["cost"]["probe_seconds"], again["cost"]["probe_gpu_hours"]) == (
            "succeeded",
            1.5,
            None,
        )
