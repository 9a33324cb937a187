"""Whatever is wrong with a request: 4xx, problem+json, the field named, nothing stored."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.kit.database import Database
from service.migrate import migrate
from service.settings import Settings

Change = dict[str, Any]


def merged(base: dict[str, Any], change: Change) -> dict[str, Any]:
    made = json.loads(json.dumps(base))
    for key, value in change.items():
        made[key] = merged(made[key], value) if isinstance(value, dict) and isinstance(made.get(key), dict) else value
    return made


@pytest.fixture(autouse=True)
def _nothing_is_stored(client: TestClient) -> Iterator[None]:
    yield
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    with database.read() as session:
        for table in ("predictions", "probes", "jobs", "idempotency_keys"):
            assert session.connection().exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0, table
        told = session.connection().exec_driver_sql("SELECT DISTINCT type FROM events").scalars().all()
        assert set(told) == {"fit.created"}


WRONG: list[tuple[str, Change]] = [
    ("model.name", {"model": {"name": "lab/no-such-model"}}),
    ("model.name", {"model": {"name": "../../etc/passwd"}}),
    ("model.name", {"model": {"name": ""}}),
    ("model.revision", {"model": {"revision": "sha256:0"}}),
    ("task", {"task": "lab/no-such-task"}),
    ("context.kind", {"context": {"kind": "telepathy"}}),
    ("context.options.level", {"context": {"options": {"level": 99}}}),
    ("context.options.level", {"context": {"options": {"level": 5}}}),
    ("context.options.level", {"context": {"options": {"level": -1}}}),
    ("context.options.level", {"context": {"options": {"level": "many"}}}),
    ("context.options.colour", {"context": {"options": {"colour": "red"}}}),
    ("context.options.corruption.rate", {"context": {"options": {"corruption": {"rate": 1.5}}}}),
    ("context.options.level", {"context": {"kind": "none"}}),
    ("probe.problems", {"probe": {"problems": -4}}),
    ("probe.problems", {"probe": {"problems": 1}}),
    ("probe.problems", {"probe": {"problems": 513}}),
    ("probe.problems", {"probe": {"problems": 10**30}}),
    ("probe.rollouts", {"probe": {"rollouts": 0}}),
    ("probe.seed", {"probe": {"seed": -1}}),
    ("probe.target_half_width", {"probe": {"target_half_width": 0.05}}),
    ("decoding.temperature", {"decoding": {"temperature": -1}}),
    ("decoding.top_p", {"decoding": {"top_p": 0}}),
    ("decoding.max_tokens", {"decoding": {"max_tokens": 0}}),
    ("recipe.steps", {"recipe": {"steps": -1}}),
    ("recipe.ema_rate", {"recipe": {"ema_rate": 0.1}}),
    ("recipe.teacher", {"recipe": {"teacher": "moving"}}),
    ("pool", {"pool": "no pool; drop table"}),
    ("pool", {"pool": "nothing-was-ever-stored-here"}),
    ("levels.0", {"levels": [1.0]}),
    ("levels.0", {"levels": [0.9999999999999999]}),
    ("model.name", {"model": {"name": "a\x00b"}}),
    ("context.options.text", {"context": {"kind": "static", "options": {"level": None, "text": "a\x00b"}}}),
    ("levels", {"levels": []}),
    ("min_gain", {"min_gain": 2}),
    ("modle", {"modle": {}}),
]


@pytest.mark.parametrize(("param", "change"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_field_is_named(client: TestClient, configuration: dict[str, Any], param: str, change: Change) -> None:
    answer = client.post("/v1/predictions", json=merged(configuration, change))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["param"] == param
    assert problem["errors"][0]["param"] == param
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(("param", "change"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_field_of_a_list_is_named_by_its_place(
    client: TestClient, configuration: dict[str, Any], param: str, change: Change
) -> None:
    alone = client.post("/v1/predictions", json=merged(configuration, change)).json()
    answer = client.post("/v1/predictions", json=[configuration, merged(configuration, change), configuration])
    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["param"], problem["code"]) == (f"1.{param}", alone["code"])
    assert problem["errors"] == [one | {"param": f"1.{one['param']}"} for one in alone["errors"]]
    assert f"1.{param}: " in problem["detail"]


def test_the_faults_of_a_whole_list_are_named(client: TestClient, configuration: dict[str, Any]) -> None:
    for changes in (
        {0: {"modle": 1}, 2: {"context": {"kind": "telepathy"}}},  # of the request itself
        {0: {"model": {"name": "nope"}}, 2: {"pool": "nothing-was-ever-stored-here"}},  # of what it asks for
        {0: {"task": "nope"}, 2: {"probe": {"problems": 513}}},  # of the parts together
    ):
        asked = [merged(configuration, changes.get(index, {})) for index in range(3)]
        problem = client.post("/v1/predictions", json=asked).json()
        assert [one["param"].partition(".")[0] for one in problem["errors"]] == ["0", "2"], problem


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (0, "expected a list of at least 1 item, got an empty list."),
        (51, "expected a list of at most 50 items, got a list of 51 items."),
    ],
)
def test_a_list_has_1_to_50_items(client: TestClient, configuration: dict[str, Any], items: int, expected: str) -> None:
    answer = client.post("/v1/predictions", json=[configuration] * items)
    assert (answer.status_code, answer.json()["detail"]) == (422, f"body: {expected}")


def test_an_item_that_is_no_mapping_is_named(client: TestClient, configuration: dict[str, Any]) -> None:
    problem = client.post("/v1/predictions", json=[configuration, 3, [configuration]]).json()
    assert [one["param"] for one in problem["errors"]] == ["1", "2"]


@pytest.mark.parametrize("missing", ["model", "task", "context"])
def test_a_missing_field_is_named(client: TestClient, configuration: dict[str, Any], missing: str) -> None:
    del configuration[missing]
    assert client.post("/v1/predictions", json=configuration).json()["param"] == missing


def test_a_probe_and_a_gap_together_are_refused(client: TestClient, configuration: dict[str, Any]) -> None:
    configuration["gap"] = {"value": 0.1, "se": 0.02, "student": 0.5}
    answer = client.post("/v1/predictions", json=configuration)
    assert answer.status_code == 422
    assert "got both" in answer.json()["detail"]


@pytest.mark.parametrize(
    "gap",
    [
        {"value": 1.2, "se": 0.02, "student": 0.5},
        {"value": 0.6, "se": 0.02, "student": 0.5},
        {"value": 0.1, "se": 0, "student": 0.5},
        {"value": 0.1, "se": 0.02},
    ],
)
def test_an_impossible_gap_is_refused(client: TestClient, configuration: dict[str, Any], gap: Change) -> None:
    del configuration["probe"]
    assert client.post("/v1/predictions", json=configuration | {"gap": gap}).status_code == 422


def test_a_gap_of_an_unknown_model_needs_a_family(client: TestClient, configuration: dict[str, Any]) -> None:
    del configuration["probe"]
    body = configuration | {"model": {"name": "mine"}, "gap": {"value": 0.1, "se": 0.02, "student": 0.5}}
    answer = client.post("/v1/predictions", json=body)
    assert answer.status_code == 422
    assert answer.json()["param"] == "model.family"


@pytest.mark.parametrize("body", ["{", "", "[1, 2", '{"model": NaN}', "\x00", "model=x"])
def test_what_is_no_json_is_refused(client: TestClient, body: str) -> None:
    answer = client.post("/v1/predictions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {"malformed_json", "invalid_request"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(client: TestClient, configuration: dict[str, Any], number: str) -> None:
    body = json.dumps(configuration | {"min_gain": 0.5}).replace("0.5", number)
    answer = client.post("/v1/predictions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_deep_nesting_is_refused(client: TestClient, configuration: dict[str, Any]) -> None:
    deep = '{"a":' * 50_000 + "1" + "}" * 50_000
    answer = client.post("/v1/predictions", content=deep, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_50_megabytes_are_refused_without_being_read(client: TestClient) -> None:
    answer = client.post("/v1/predictions", content=b" " * 50_000_000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


def test_50_megabytes_without_a_declared_length_are_refused_too(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            yield b" " * 1_000_000

    answer = client.post("/v1/predictions", content=chunks(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_text_is_not_taken_for_json(client: TestClient, configuration: dict[str, Any]) -> None:
    answer = client.post("/v1/predictions", content=json.dumps(configuration), headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["param"]) == (415, "Content-Type")
    assert "expected application/json, got 'text/plain'" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"\xff\xfe", b'{"model": {"name": "\xff"}}'])
def test_wrong_encodings_are_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/predictions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed_json"


def test_half_a_surrogate_pair_is_refused_and_shown(client: TestClient) -> None:
    body = '{"model": {"name": "\\ud800"}, "task": "lab/addition", "context": {"kind": "hints"}}'
    answer = client.post("/v1/predictions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["param"] == "model.name"


@pytest.mark.parametrize("prefer", ["wait=²".encode("latin-1"), b"wait=" + b"9" * 5000, b"wait=-1", b"wait"])
def test_a_preference_that_is_none_is_ignored(client: TestClient, prefer: bytes) -> None:
    assert client.get("/v1/predictions/pred_0", headers={"Prefer": prefer}).status_code == 404


@pytest.mark.services
@pytest.mark.parametrize(
    "path",
    [
        "/v1/predictions/%00",
        "/v1/predictions/%00/events",
        "/v1/predictions?after=%00",
        "/v1/observations/%00",
        "/v1/observations?pool=%00",
        "/v1/fits/%00",
        "/v1/probes/%00",
        "/?pool=%00",
        "/web/chart.json?prediction=%00",
    ],
)
def test_postgresql_meets_no_nul(tmp_path: Path, postgres_url: str, path: str) -> None:
    settings = Settings(data_dir=tmp_path, database_url=postgres_url, log_level="error")
    database = Database(settings.database_url)
    migrate(database)
    database.close()
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as on_postgres:
        answer = on_postgres.get(path)
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/predictions/pred_0", 404),
        ("/v1/predictions/pred_0/events", 404),
        ("/v1/predictions?limit=0", 422),
        ("/v1/predictions?limit=101", 422),
        ("/v1/predictions?order=up", 422),
        ("/v1/predictions?after=zzz", 422),
        ("/v1/predictions/pred_0/events?after=%C2%B2", 404),
        ("/v1/observations/obs_0", 404),
        ("/v1/fits/fit_0", 404),
        ("/v1/fits/current?pool=%00", 422),
        ("/v1/probes/probe_0", 404),
        ("/v1/nothing", 404),
    ],
)
def test_every_error_is_a_problem(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_a_wrong_path_is_named(client: TestClient) -> None:
    detail = client.get("/v2/predictions").json()["detail"]
    assert (
        detail == "There is no path '/v2/predictions'. The API's paths begin with /v1/; GET /openapi.json lists them."
    )
    assert client.get("/openapi.json").status_code == 200


def test_a_wrong_method_is_a_problem(client: TestClient) -> None:
    answer = client.delete("/v1/predictions/pred_0")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    detail = "method: expected GET, HEAD for the path '/v1/predictions/pred_0', got DELETE. Use one of those."
    assert answer.json()["detail"] == detail


UNKNOWN: Change = {"model": {"name": "lab/additon-qwen3-s"}, "task": "lab/additon"}


@pytest.mark.parametrize(
    ("path", "body", "params"),
    [
        ("predictions", UNKNOWN, ["model.name", "task"]),
        ("predictions", UNKNOWN | {"pool": "labb"}, ["model.name", "task", "pool"]),
        ("predictions", {"task": "lab/additon", "pool": "labb"}, ["task", "pool"]),
        ("predictions", {"task": "lab/additon"}, ["task"]),
        ("probes", UNKNOWN, ["model.name", "task"]),
        ("training_runs", UNKNOWN, ["model.name", "task"]),
    ],
)
def test_all_names_that_are_not_there_are_told_at_once(
    client: TestClient, configuration: dict[str, Any], path: str, body: Change, params: list[str]
) -> None:
    asked = {name: configuration[name] for name in ("model", "task", "context")} | body
    answer = client.post(f"/v1/{path}", json=asked)
    assert answer.status_code == 422
    problem = answer.json()
    assert [one["param"] for one in problem["errors"]] == params
    assert problem["param"] == params[0]
    assert all("Did you mean 'lab" in one["message"] for one in problem["errors"])


def test_several_predictions_tell_all_their_names_by_their_places(
    client: TestClient, configuration: dict[str, Any]
) -> None:
    right = {name: configuration[name] for name in ("model", "task", "context")}
    answer = client.post("/v1/predictions", json=[right, right | UNKNOWN])
    assert [one["param"] for one in answer.json()["errors"]] == ["1.model.name", "1.task"]
