"""What a job needs of a worker, by its model's entry and its request, and which worker takes it."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.needs import JobNeeds, Needs, Offer
from service.jobs import repository as jobs
from service.jobs.needs import needs_of, offer_of
from service.kit.database import Database
from service.listed_models import ModelEntry
from service.settings import Settings
from service.slots import repository as slots

Body = dict[str, Any]

QWEN: Body = {
    "name": "qwen3-8b",
    "family": "qwen3",
    "path": "/models/qwen3-8b",
    "revision": f"sha256:{'0' * 64}",
    "needs": {"labels": ["gpu"], "memory_gb": 24},
    "training_needs": {"labels": ["a100"], "memory_gb": 70},
}
SERVED: Body = {"name": "served", "family": "qwen3", "url": "http://gpu-box:8000/v1", "revision": "v1"}
ENTRIES = [ModelEntry.model_validate(QWEN), ModelEntry.model_validate(SERVED)]
LAB = "lab/addition-qwen3-s"


def database_of(client: TestClient) -> Database:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    return database


@pytest.mark.parametrize(
    ("model", "asked", "training", "needs"),
    [
        (LAB, None, False, JobNeeds()),
        (LAB, Needs(labels=["gpu"], memory_gb=2), True, JobNeeds(labels=["gpu"], memory_gb=2)),
        ("qwen3-8b", None, False, JobNeeds(model="qwen3-8b", labels=["gpu"], memory_gb=24)),
        ("qwen3-8b", None, True, JobNeeds(model="qwen3-8b", labels=["a100"], memory_gb=70)),
        (
            "qwen3-8b",
            Needs(labels=["fast", "gpu"], memory_gb=40),
            False,
            JobNeeds(model="qwen3-8b", labels=["fast", "gpu"], memory_gb=40),
        ),
        ("served", None, False, JobNeeds(model="served", memory_gb=0)),
    ],
)
def test_labels_add_up_and_the_requests_memory_counts(
    model: str, asked: Needs | None, training: bool, needs: JobNeeds
) -> None:
    assert needs_of(ENTRIES, model, asked, training=training) == needs


def test_a_run_of_a_model_with_one_entry_needs_what_its_probe_does() -> None:
    entry = ModelEntry.model_validate({name: value for name, value in QWEN.items() if name != "training_needs"})
    probe, run = (needs_of([entry], "qwen3-8b", None, training=training) for training in (False, True))
    assert probe == run


@pytest.mark.parametrize(
    ("needs", "taken"),
    [
        (JobNeeds(), True),
        (JobNeeds(labels=["gpu"]), True),
        (JobNeeds(labels=["gpu", "a100"]), False),
        (JobNeeds(model="qwen3-8b"), True),
        (JobNeeds(model="gpu"), False),
        (JobNeeds(memory_gb=80), True),
        (JobNeeds(memory_gb=81), False),
    ],
)
def test_a_worker_takes_what_it_has_everything_for(needs: JobNeeds, taken: bool) -> None:
    assert Offer(labels=["gpu"], models=["qwen3-8b"], memory_gb=80).takes(needs) is taken


def test_a_worker_without_labels_or_memory_takes_what_names_neither_a_label_nor_a_model() -> None:
    assert Offer().takes(JobNeeds(memory_gb=1000))
    assert not Offer().takes(JobNeeds(labels=["gpu"]))
    assert not Offer().takes(JobNeeds(model="qwen3-8b"))


def test_one_job_of_several_needs_what_each_does() -> None:
    several = [JobNeeds(model="m", labels=["gpu"], memory_gb=8), JobNeeds(model="m", labels=["a100"], memory_gb=24)]
    assert JobNeeds.together(several) == JobNeeds(model="m", labels=["a100", "gpu"], memory_gb=24)
    assert JobNeeds.together([*several, JobNeeds(model="m")]).memory_gb is None


def test_a_worker_offers_what_its_settings_say(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offer_of(settings) == Offer()
    monkeypatch.setenv("GAPCAST_WORKER_LABELS", "gpu, a100,gpu")
    monkeypatch.setenv("GAPCAST_WORKER_MEMORY_GB", "80")
    told = Settings(models=ENTRIES)
    assert offer_of(told) == Offer(labels=["a100", "gpu"], models=["qwen3-8b", "served"], memory_gb=80)


class TestRest:
    def test_a_probe_says_what_it_needs_and_why_it_waits(self, client: TestClient, configuration: Body) -> None:
        needs = {"labels": ["gpu"], "memory_gb": 24}
        asked = configuration | {"probe": {"problems": 16, "rollouts": 2, "needs": needs}}
        with database_of(client).write() as session:
            slots.sign(session, "cpu:1", ["probes"], 1, Offer())
        made = client.post("/v1/predictions", json=asked).json()
        assert made["request"]["probe"]["needs"] == needs
        waiting = client.get(f"/v1/predictions/{made['id']}").json()["waiting"]
        assert (waiting["workers"], waiting["unable"]) == (0, 1)
        assert waiting["needs"] == needs | {"model": None}
        assert client.get("/v1/workers").json()["data"][0]["queues"][0]["queued"] == 0
        with database_of(client).write() as session:
            slots.sign(session, "gpu:1", ["probes"], 1, Offer(labels=["gpu"], memory_gb=80))
        waiting = client.get(f"/v1/probes/{made['probe_id']}").json()["waiting"]
        assert (waiting["workers"], waiting["unable"], waiting["running"]) == (1, 1, None)
        gpu = client.get("/v1/workers").json()["data"][1]
        assert (gpu["labels"], gpu["models"], gpu["memory_gb"], gpu["queues"][0]["queued"]) == (["gpu"], [], 80, 1)

    def test_so_does_a_training_run(self, client: TestClient, configuration: Body) -> None:
        body = {name: configuration[name] for name in ("model", "task", "context")}
        run = client.post("/v1/training_runs", json=body | {"training": {"needs": {"labels": ["a100"]}}}).json()
        found = client.get(f"/v1/training_runs/{run['id']}").json()
        assert found["waiting"]["needs"] == {"model": None, "labels": ["a100"], "memory_gb": None}

    def test_and_a_comparison_from_round_to_round(self, client: TestClient, configuration: Body) -> None:
        asked = [
            configuration | {"context": {"kind": "hints", "options": {"level": level}}, "probe": {"needs": needs}}
            for level, needs in ((1, {"labels": ["gpu"]}), (2, {"labels": ["fast"]}))
        ]
        made = client.post("/v1/comparisons", json={"configurations": asked})
        assert made.status_code == 202, made.text
        waiting = client.get(f"/v1/comparisons/{made.json()['id']}").json()["waiting"]
        assert waiting["needs"]["labels"] == ["fast", "gpu"]

    @pytest.mark.parametrize(
        ("needs", "param", "told"),
        [
            ({"labels": ["GPU"]}, "labels.0", "1 to 64 lower-case letters, digits"),
            ({"memory_gb": 0}, "memory_gb", "a number above 0"),
            ({"label": "gpu"}, "label", "labels"),
        ],
    )
    def test_what_is_no_need_is_refused(
        self, refusing: TestClient, configuration: Body, needs: Body, param: str, told: str
    ) -> None:
        answer = refusing.post("/v1/predictions", json=configuration | {"probe": {"needs": needs}})
        assert answer.status_code == 422
        assert answer.json()["param"] == f"probe.needs.{param}"
        assert told in answer.text


def test_only_who_has_what_a_job_needs_takes_it(database: Database) -> None:
    with database.write() as session:
        for subject, needs in (("gpu", JobNeeds(labels=["gpu"])), ("any", None), ("big", JobNeeds(memory_gb=40))):
            jobs.add(session, tenant="local", kind="probe", queue="probes", subject_id=subject, needs=needs)

    def taken(offer: Offer) -> list[str]:
        found: list[str] = []
        besides: set[str] = set()
        while True:
            with database.read() as session:
                due = jobs.next_due(session, "probes", {"probe"}, besides, offer.takes)
                job = jobs.get(session, due.id) if due is not None else None
            if job is None:
                return found
            besides.add(job.id)
            found.append(job.subject_id)

    assert taken(Offer()) == ["any", "big"]
    assert taken(Offer(labels=["gpu"])) == ["gpu", "any", "big"]
    assert taken(Offer(labels=["gpu"], memory_gb=16)) == ["gpu", "any"]
