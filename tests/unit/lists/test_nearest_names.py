"""A name that is not known is answered with the nearest one that the asker may know."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.nearest import nearest
from gapcast.contract.problems import ExactVerifier, TaskIn
from service.errors import UnknownPool, UnknownTask
from service.kit.clock import now
from service.kit.database import Database
from service.observations import repository as observations
from service.observations import service as pools
from service.tasks import service as tasks
from service.tasks.models import StoredTask
from tests.support.asking import asked_at

Body = dict[str, Any]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("lab/adition", "lab/addition"),
        ("LAB/ADDITION", "lab/addition"),
        ("addition", "lab/addition"),
        ("qwen3-8b", "Qwen/Qwen3-8B"),
        ("zzz", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_nearest(sent: str, expected: str | None) -> None:
    assert nearest(sent, ["lab/addition", "lab/cipher", "Qwen/Qwen3-8B"]) == expected


@pytest.mark.parametrize("path", ["predictions", "probes", "training_runs"])
@pytest.mark.parametrize(
    ("change", "code", "param", "said"),
    [
        ({"model": "lab/adition-qwen3-s"}, "unknown_model", "model.name", "Did you mean 'lab/addition-qwen3-s'?"),
        ({"task": "lab/adition"}, "unknown_task", "task", "Did you mean 'lab/addition'?"),
        ({"context": {"kind": "hint"}}, "invalid_request", "context.kind", "Did you mean 'hints'?"),
    ],
)
def test_the_refusal_of_a_name(
    refusing: TestClient, configuration: Body, path: str, change: Body, code: str, param: str, said: str
) -> None:
    answer = refusing.post(f"/v1/{path}", json=asked_at(path, configuration) | change)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["param"]) == (422, code, param)
    assert said in problem["detail"]


def test_a_far_name_is_answered_without_a_guess(refusing: TestClient, configuration: Body) -> None:
    detail = refusing.post("/v1/predictions", json=configuration | {"model": "zzz"}).json()["detail"]
    assert detail.startswith("model.name: expected a listed model, got 'zzz'. `gapcast models list` and GET /v1/models")


@pytest.mark.parametrize(
    ("path", "said"), [("models/lab/adition-qwen3-s", "-qwen3-s'?"), ("tasks/lab/ciper", "cipher'?")]
)
def test_what_is_read_by_a_wrong_name(refusing: TestClient, path: str, said: str) -> None:
    answer = refusing.get(f"/v1/{path}")
    assert answer.status_code == 404
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("path", ["predictions", "probes/size"])
def test_a_family_that_is_missing_may_be_a_mistyped_model(refusing: TestClient, given: Body, path: str) -> None:
    body = given | {"model": "lab/adition-qwen3-s"}
    if path == "probes/size":
        body = {name: body[name] for name in ("model", "task", "pool")} | {"target_half_width": 0.1}
    problem = refusing.post(f"/v1/{path}", json=body).json()
    assert problem["param"] == "model.family"
    assert "Did you mean 'lab/addition-qwen3-s'?" in problem["detail"]


def test_no_other_tenants_names_are_told(database: Database) -> None:
    """Neither as a guess nor in the list of what there is."""
    with database.write() as session:
        observations.lock_pool(session, "other", "secret-pool")
        counts = dict.fromkeys(
            ("train_problems", "held_out_problems", "hint_levels", "with_hints", "bytes"), 1
        ) | dict.fromkeys(("with_reference_solution", "with_privileged_context"), 0)
        header = TaskIn(name="secret/task", verifier=ExactVerifier())
        times = {"created_at": now(), "uploaded_at": now()}
        session.add(
            StoredTask(
                id="task_1",
                tenant="other",
                name="secret/task",
                revision="r",
                header=header,
                status="ready",
                accepted=False,
                **counts,
                **times,
            )
        )
    with database.read() as session:
        with pytest.raises(UnknownPool, match="got 'secret-poo'") as pool:
            pools.find_pool(session, "local", "secret-poo")
        with pytest.raises(UnknownTask, match="got 'secret/tas'") as task:
            tasks.find_task(session, "local", "secret/tas")
        assert "secret-pool" not in str(pool.value)
        assert "secret/task" not in str(task.value)
        with pytest.raises(UnknownPool, match="Did you mean 'secret-pool'"):
            pools.find_pool(session, "other", "secret-poo")
        with pytest.raises(UnknownTask, match="Did you mean 'secret/task'"):
            tasks.find_task(session, "other", "secret/tas")


class TestModelsByName:
    @pytest.mark.parametrize("path", ["predictions", "probes", "training_runs"])
    def test_a_name_alone_is_a_model(self, client: TestClient, configuration: Body, path: str) -> None:
        configuration = asked_at(path, configuration)
        body = configuration | {"model": "lab/addition-qwen3-s"}
        answer = client.post(f"/v1/{path}", json=body, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 202
        spelled = client.post(f"/v1/{path}", json=configuration, headers={"Idempotency-Key": "k"})
        assert spelled.json()["id"] == answer.json()["id"], "both ways of saying it are one body"
        if path == "predictions":
            assert answer.json()["request"]["model"]["name"] == "lab/addition-qwen3-s"

    def test_a_size_is_asked_by_name_too(self, refusing: TestClient) -> None:
        body = {"model": "lab/addition-qwen3-s", "task": "lab/addition", "target_half_width": 0.3}
        assert refusing.post("/v1/probes/size", json=body).status_code == 200

    @pytest.mark.parametrize("model", ["", "x" * 256, 7, ["lab/addition-qwen3-s"]])
    def test_what_is_no_name_is_refused(self, refusing: TestClient, configuration: Body, model: object) -> None:
        answer = refusing.post("/v1/predictions", json=configuration | {"model": model})
        assert answer.status_code == 422
        assert answer.json()["param"] in {"model", "model.name"}

    def test_the_document_shows_both(self, refusing: TestClient) -> None:
        schemas = refusing.get("/openapi.json").json()["components"]["schemas"]
        for name in ("PredictionRequest-Input", "ProbeRequest", "SizeRequest", "TrainingRunRequest"):
            kinds = [one.get("type") or one["$ref"] for one in schemas[name]["properties"]["model"]["anyOf"]]
            assert kinds[:2] == ["string", "#/components/schemas/ModelRef"], name
