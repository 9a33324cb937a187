"""Past runs come in whole or not at all, as JSON, NDJSON, CSV or Parquet, and come out to the same fit."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from gapcast.contract.lists import ObservationImport
from gapcast.contract.observations import MOST_LOOKS
from service.app import create_app
from service.law import GapLaw
from service.observations import formats, service
from service.observations.formats import MEDIA_TYPES, MOST_TEXT, columns, flat, write
from service.observations.translation import Translation
from service.settings import Settings
from tests.support.rows import Row, run

FORMATS = ["json", "ndjson", "csv", "parquet"]
SOME = ["json", *(pytest.param(form, marks=pytest.mark.slow) for form in FORMATS[1:])]
"""one of them in every run of the tests: what is wrong with a row is found after it is read"""


@pytest.fixture(scope="module")
def refusing(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One application for all that stores nothing."""
    folder = tmp_path_factory.mktemp("refusing")
    shutil.copy(migrated, folder / "gapcast.db")
    with TestClient(create_app(Settings(data_dir=folder, log_level="error")), base_url="http://127.0.0.1") as made:
        yield made


def post(client: TestClient, *rows: Row, **query: Any) -> Any:
    body = json.dumps({"observations": rows})
    return client.post("/v1/observations", content=body, params=query, headers={"Content-Type": MEDIA_TYPES["json"]})


def send(client: TestClient, body: bytes, form: str) -> Any:
    return client.post("/v1/observations", content=body, headers={"Content-Type": MEDIA_TYPES[form]})


def stored(client: TestClient, pool: str = "default") -> int:
    with client.app.state.gapcast.database.read() as session:  # type: ignore[attr-defined]
        query = f"SELECT count(*) FROM observations WHERE pool = '{pool}'"
        return int(session.connection().exec_driver_sql(query).scalar() or 0)


def as_bytes(rows: list[Row], form: str) -> bytes:
    return b"".join(write(rows, form))  # type: ignore[arg-type]


def test_a_run_is_stored_and_counts(client: TestClient) -> None:
    answer = post(client, run(external_id="r1"))
    assert answer.status_code == 201
    batch = answer.json()
    assert (batch["created"], batch["existing"], batch["pools"], batch["warnings"]) == (1, 0, ["default"], [])
    shown = client.get(f"/v1/observations/{batch['ids'][0]}").json()
    assert shown["cell"] == "qwen3|livecodebench-v6|frozen-forward_kl"
    nothing = dict.fromkeys(("problems", "rollouts", "thinking"))
    assert shown["gap"] == {"value": 0.2, "se": 0.02, "variance": "given"} | nothing
    fit = client.get("/v1/fits/current").json()
    assert (fit["n"], fit["families"][0]["family"]) == (1, "qwen3")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.slow
def test_what_is_exported_imports_to_the_same_fit(client: TestClient, form: str) -> None:
    rows = [
        run(
            external_id=f"r{index}",
            gap={"value": 0.05 * index, "se": 0.01 + index / 977, "thinking": [True, False, None][index % 3]},
            collapsed=index == 3,
            recipe={"teacher": "ema", "divergence": "js", "ema_rate": 0.07} if index % 2 else None,
            context={"level": index},
            provenance={"note": 'a "quoted", text\n', "deep": [{"x": None}]},
            version=["a\rb", "x\ny", "ü, “q”", None][index % 4],
        )
        for index in range(8)
    ] + [run(excluded=True, excluded_reason="evaluated on the wrong split")]
    assert post(client, *rows).status_code == 201
    body = client.get("/v1/observations/export", params={"pool": "default", "format": form}).content
    again = send(client, body, form).json()
    assert (again["created"], again["existing"]) == (0, 9), "the row without an external_id is named by its id"
    first = client.get("/v1/fits/current").json()

    rename = {row["external_id"]: row for row in json_rows(client)}
    other = [row | {"pool": "other"} for row in rename.values()]
    assert send(client, as_bytes(other, form), form).json()["created"] == 9
    second = client.get("/v1/fits/current", params={"pool": "other"}).json()
    same = ("n", "families", "populations", "p_collapse", "curvature_p")
    assert {name: first[name] for name in same} == {name: second[name] for name in same}
    assert [one["provenance"] for one in client.get("/v1/observations?pool=other").json()["data"]][-1] == {
        "note": 'a "quoted", text\n',
        "deep": [{"x": None}],
    }
    modes = [one["gap"]["thinking"] for one in client.get("/v1/observations?pool=other&order=asc").json()["data"]]
    assert modes[:8] == [True, False, None, True, False, None, True, False]


def json_rows(client: TestClient) -> list[Row]:
    body = client.get("/v1/observations/export", params={"pool": "default", "format": "json"})
    rows: list[Row] = body.json()["observations"]
    return rows


THINKING: Row = {"value": 0.3, "se": 0.02, "thinking": True}
LOOK: Row = {"step": 10, "improvement": 0.1, "se": 0.03}
WRONG: list[tuple[str, Row]] = [
    ("gap.value", {"gap": {"value": float("nan"), "se": 0.02}}),
    ("gap.value", {"gap": {"value": float("inf"), "se": 0.02}}),
    ("gap.value", {"gap": {"value": 31, "se": 0.02}}),
    ("gap.se", {"gap": {"value": 0.3, "se": -0.02}}),
    ("improvement.thinking", {"gap": THINKING, "improvement": THINKING | {"thinking": False}}),
    ("held_out.thinking", {"gap": THINKING, "held_out": THINKING | {"thinking": False}}),
    ("gap.se", {"gap": {"value": 0.3, "se": 0}}),
    ("gap.se", {"gap": {"value": 0.3}}),
    ("improvement.value", {"improvement": {"value": -1.01, "se": 0.02}}),
    ("improvement", {"improvement": {"value": 0.9, "se": 0.02}}),
    ("baseline", {"baseline": 1.2}),
    ("baseline", {"baseline": -0.1}),
    ("baseline", {"baseline": None}),
    ("cov", {"cov": 0.01}),
    ("family", {"family": ""}),
    ("family", {"family": "a\x00b"}),
    ("context_kind", {"context_kind": "telepathy"}),
    ("recipe.teacher", {"recipe": {"teacher": "wise", "divergence": "js"}}),
    ("recipe.divergence", {"recipe": {"teacher": "ema"}}),
    ("excluded_reason", {"excluded": True}),
    ("pool", {"pool": "No Pool"}),
    ("family", {"family": "  "}),
    ("recipe.steps", {"recipe": {"teacher": "ema", "divergence": "js", "steps": 10**10}}),
    ("provenance.recipe", {"provenance": {"recipe": "x"}}),
    ("provenance.context", {"provenance": {"context": [1]}}),
    ("provenance", {"provenance": {"a\x00": 1}}),
    ("provenance", {"provenance": {"a": ["\ud800"]}}),
    ("provenance", {"provenance": json.loads('{"a":' * 40 + "1" + "}" * 40)}),
    ("context", {"context": {"a": json.loads("[" * 40 + "1" + "]" * 40)}}),
    ("curve.1.step", {"curve": [LOOK, LOOK]}),
    ("curve.1.step", {"curve": [LOOK, LOOK | {"step": 5}]}),
    ("curve.0.step", {"curve": [LOOK], "recipe": {"teacher": "ema", "divergence": "js", "steps": 9}}),
    ("curve.0.step", {"curve": [LOOK | {"step": 0}]}),
    ("curve.0.se", {"curve": [LOOK | {"se": 0}]}),
    ("curve.0.held_out_se", {"curve": [LOOK | {"held_out": 0.1}]}),
    ("curve.0.held_out", {"curve": [LOOK | {"held_out_se": 0.1}]}),
    ("curve.0.cov", {"curve": [LOOK | {"cov": 0.0007}]}),
    ("curve", {"curve": [LOOK | {"step": step} for step in range(1, MOST_LOOKS + 2)]}),
    ("colour", {"colour": "red"}),
]


@pytest.mark.parametrize(("field", "change"), WRONG, ids=[f"{field}-{index}" for index, (field, _) in enumerate(WRONG)])
@pytest.mark.parametrize("form", SOME)
def test_a_wrong_row_is_named_and_nothing_is_stored(refusing: TestClient, form: str, field: str, change: Row) -> None:
    rows = [run(external_id="fine"), run(external_id="wrong", **change), run(external_id="fine too")]
    if field == "colour" and form in {"csv", "parquet"}:
        return  # a table says that of its columns, below
    answer = send(refusing, as_bytes(rows, form), form)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["param"] == f"observations.1.{field}"
    assert problem["errors"][0]["message"].startswith("row 2")
    assert "Nothing was stored" in problem["detail"]
    assert stored(refusing) == 0


@pytest.mark.parametrize("form", FORMATS)
def test_a_curve_of_the_most_looks_goes_through_every_format(form: str) -> None:
    held_out = {"cov": 0.00025447334830216534, "held_out": -0.0234375, "held_out_se": 0.03596337060534815}
    curve = [LOOK | {"step": step + 10**6} | held_out for step in range(MOST_LOOKS)]
    (read,) = formats.read(as_bytes([run(curve=curve)], form), form, Translation(ObservationImport()))  # type: ignore[arg-type]
    assert read.row["curve"] == curve


def test_a_row_whose_error_a_later_version_raised_is_stored_still(client: TestClient) -> None:
    counts = {"student": [0, 0, 0], "self_teacher": [0, 0, 0], "rollouts": 4}
    row = run(external_id="r1", gap=counts, baseline=0.1, cov=None)
    (stored_id,) = post(client, row).json()["ids"]
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        session.connection().exec_driver_sql("UPDATE observations SET gap_se = 0.00577")
    again = post(client, row)
    assert (again.status_code, again.json()["existing"]) == (200, 1)
    assert client.get(f"/v1/observations/{stored_id}").json()["gap"]["se"] == 0.00577
    assert post(client, row | {"gap": counts | {"self_teacher": [0, 1, 0]}}).status_code == 409
    assert post(client, row | {"gap": {"value": 0.0, "se": 0.2}}).status_code == 409


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_unknown_column_is_named(client: TestClient, form: str) -> None:
    body = as_bytes([run()], form)
    if form == "csv":
        body = body.replace(b"gap.value", b"gap.size", 1)
    else:
        table = pq.read_table(io.BytesIO(body))
        out = io.BytesIO()
        pq.write_table(table.rename_columns(["gap.size" if name == "gap.value" else name for name in columns()]), out)
        body = out.getvalue()
    problem = send(client, body, form).json()
    assert (problem["code"], problem["param"]) == ("invalid_file", "gap.size")
    assert "gap.value" in problem["detail"]
    assert stored(client) == 0


FLAGS: list[tuple[str, Row]] = [
    ("gap.value", {"gap": {"value": False, "se": 0.02}}),
    ("gap.se", {"gap": {"value": 0.1, "se": True}}),
    ("gap.student", {"gap": {"student": [True, False], "self_teacher": [1, 1], "rollouts": 1}}),
    ("parameters", {"parameters": True}),
    ("recipe.steps", {"recipe": {"teacher": "ema", "divergence": "js", "steps": True}}),
]


@pytest.mark.parametrize(("field", "change"), FLAGS)
def test_true_and_false_are_no_numbers(refusing: TestClient, field: str, change: Row) -> None:
    answer = post(refusing, run(**change))
    assert (answer.status_code, answer.json()["param"]) == (422, f"observations.0.{field}")


def test_notes_are_no_part_of_any_fit(client: TestClient) -> None:
    """Whatever people write down of their run's cost."""
    costs: list[Any] = [{"seconds": -1}, {"seconds": 1e300}, {"seconds": "x"}, {"seconds": True}, 5, None, {}]
    recipe = {"teacher": "ema", "divergence": "js", "steps": 10**9, "problems_per_step": 10**6, "group_size": 10**6}
    rows = [run(provenance={"cost": cost}, recipe=recipe, baseline=0.1 + i / 50) for i, cost in enumerate(costs)]
    assert post(client, *rows).status_code == 201
    assert client.get("/v1/fits/current").json()["n"] == len(costs)
    assert len(json_rows(client)) == len(costs)


BROKEN: list[tuple[str, bytes, str]] = [
    ("json", b"", "not JSON"),
    ("json", b'{"observations": [', "not JSON"),
    ("json", b'{"rows": []}', "'rows'"),
    ("json", b"[1]", "row 1"),
    ("json", b'{"observations": []}', "does not contain a row"),
    ("json", b"[" * 100_000, "not JSON"),
    ("json", b"\xff\xfe", "line 1"),
    ("ndjson", json.dumps(run()).encode() + b"\n{\n", "line 2"),
    ("ndjson", b"\n\n", "does not contain a row"),
    ("json", b'{"observations": [], "observations": []}', "twice"),
    ("ndjson", b'{"family": "a", "family": "b"}', "line 1"),
    ("csv", b"", "empty"),
    ("csv", b"family,family\na,b\n", "twice"),
    ("csv", b"family,task\na\n", "row 1 (line 2)"),
    ("csv", b'family,task\n"a,b\n', "line"),
    ("csv", b"family,provenance\na,{x}\n", "provenance"),
    ("csv", b"family,task\n\xff,b\n", "line 2"),
    ("parquet", b"", "Parquet"),
    ("parquet", b"PAR1 and then nothing", "Parquet"),
]


@pytest.mark.parametrize(("form", "body", "told"), BROKEN)
def test_a_broken_file_is_refused(refusing: TestClient, form: str, body: bytes, told: str) -> None:
    answer = send(refusing, body, form)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_file"
    assert told in answer.json()["detail"]
    assert stored(refusing) == 0


def test_no_part_of_a_parquet_file_is_taken_for_the_whole(client: TestClient) -> None:
    whole = as_bytes([run(external_id=f"r{index}") for index in range(50)], "parquet")
    for size in range(0, len(whole), len(whole) // 40):
        assert send(client, whole[:size], "parquet").status_code == 422
    for place in range(4, len(whole), len(whole) // 40):
        hurt = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        assert send(client, hurt, "parquet").status_code in {200, 201, 422}, "a conflict would be a changed value"
    assert send(client, whole, "parquet").status_code in {200, 201}


def parquet_of(values: dict[str, pa.Array]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(values), out)
    return out.getvalue()


def test_a_small_parquet_file_that_unpacks_to_a_huge_one_is_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = parquet_of({"family": pa.array(["x"] * 200_000)})
    assert len(many) < 10_000
    assert "at most" in send(client, many, "parquet").json()["detail"]
    long_text = parquet_of({"family": pa.array(["x" * (MOST_TEXT + 1)] * 1000)})
    assert len(long_text) < 100_000
    assert "expected texts of at most" in send(client, long_text, "parquet").json()["detail"]
    nested = parquet_of({"provenance": pa.array([{"value": 0.1}])})
    assert "expected a column of texts" in send(client, nested, "parquet").json()["detail"]
    monkeypatch.setattr(formats, "MOST_VALUES", 10_000)
    lists = parquet_of({"gap.student": pa.array([[1] * 10_001])})
    assert len(lists) < 1_000
    assert "values" in send(client, lists, "parquet").json()["detail"]


@pytest.mark.slow
def test_texts_that_unpack_to_too_much_are_refused(client: TestClient) -> None:
    """Each row would get a text of its own, and JSON a mapping of thousands of objects."""
    notes = json.dumps({"a": [{}] * 3000})
    valid = {name: value for name, value in flat(run()).items() if value is not None}
    columns_of = {name: pa.array([value] * 10_000) for name, value in valid.items()}
    many = parquet_of(columns_of | {"provenance": pa.array([notes] * 10_000).dictionary_encode()})
    assert len(many) < 50_000
    assert "unpack" in send(client, many, "parquet").json()["detail"]
    long_note = parquet_of({"provenance": pa.array([json.dumps({"a": "x" * 20_000})])})
    assert "row 1: provenance" in send(client, long_note, "parquet").json()["detail"]
    wrong = parquet_of({"provenance": pa.array(["{}", "{x}"]), "family": pa.array(["a", "b"])})
    assert send(client, wrong, "parquet").json()["param"] is not None


def test_a_packed_body_is_refused(client: TestClient) -> None:
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = client.post("/v1/observations", content=b"x", headers=packed)
    assert (answer.status_code, answer.json()["param"]) == (415, "Content-Encoding")


def test_another_media_type_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/observations", content=b"<x/>", headers={"Content-Type": "application/xml"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_body_without_a_media_type_is_refused_and_the_way_out_named(client: TestClient) -> None:
    body = json.dumps({"observations": [run()]})
    answer = client.post("/v1/observations", content=body)
    assert (answer.status_code, answer.json()["param"]) == (415, "Content-Type")
    expected = "application/json or application/x-ndjson or text/csv or application/vnd.apache.parquet"
    assert answer.json()["detail"] == (
        f"Content-Type: expected {expected}, got nothing. Send this header with the type of the body."
    )
    assert answer.json()["errors"][0]["value"] is None
    assert stored(client) == 0


def test_a_body_over_the_limit_of_imports_is_refused(client: TestClient) -> None:
    limit = client.app.state.gapcast.settings.max_import_bytes  # type: ignore[attr-defined]
    answer = client.post("/v1/observations", content=b" " * (limit + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    row = run(provenance={"text": ["x" * 4000] * 4})
    assert post(client, *[row] * 100).status_code == 201, "over a megabyte, the limit of other requests"


def test_an_external_id_is_stored_once(client: TestClient) -> None:
    first = post(client, run(external_id="a"), run(external_id="a"), run(external_id="b")).json()
    assert (first["created"], first["existing"]) == (2, 1)
    again = post(client, run(external_id="b"), run(external_id="a"))
    assert (again.status_code, again.json()["created"]) == (200, 0)
    assert again.json()["ids"] == [first["ids"][2], first["ids"][0]]
    assert post(client, run(external_id="a"), pool="elsewhere").json()["created"] == 1, "pools have their own names"


def test_an_external_id_with_another_content_is_a_conflict(client: TestClient) -> None:
    post(client, run(external_id="a"))
    answer = post(client, run(external_id="new"), run(external_id="a", baseline=0.5))
    assert (answer.status_code, answer.json()["code"]) == (409, "observation_conflict")
    assert answer.json()["param"] == "observations.1.external_id"
    assert "baseline 0.4, now 0.5" in answer.json()["detail"]
    assert stored(client) == 1
    inside = post(client, run(external_id="c"), run(external_id="c", baseline=0.5))
    assert inside.status_code == 409
    assert "the external_id of row 1" in inside.json()["detail"]
    assert stored(client) == 1


def test_a_known_row_that_comes_with_other_notes_is_told(client: TestClient) -> None:
    post(client, run(external_id="a"))
    changed = run(external_id="a", excluded=True, excluded_reason="late thought")
    batch = post(client, changed, run(external_id="a", provenance={"x": 1}), run(external_id="a")).json()
    assert (batch["created"], batch["existing"]) == (0, 3)
    assert [(one["code"], one["rows"]) for one in batch["warnings"]] == [("stored_differently", [1, 2])]
    assert client.get("/v1/observations?excluded=true").json()["data"] == []


def test_a_request_can_send_all_rows_to_one_pool(client: TestClient) -> None:
    body = client.get("/v1/observations/export", params={"pool": "lab"}).content
    headers = {"Content-Type": "text/csv"}
    batch = client.post("/v1/observations", content=body, headers=headers, params={"pool": "copy"}).json()
    assert batch["created"] == stored(client, "lab") == stored(client, "copy")
    ours, theirs = (
        client.get("/v1/fits/current", params={"pool": name}).json()["families"] for name in ("lab", "copy")
    )
    assert ours == theirs


def test_an_unknown_pool_is_no_empty_list(client: TestClient) -> None:
    for path in ("/v1/observations", "/v1/observations/export"):
        answer = client.get(path, params={"pool": "labb"})
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_pool")
    post(client, run(), pool="mine")
    listed = client.get("/v1/pools").json()["data"]
    assert [one["name"] for one in listed] == ["default", "lab", "mine", "published", "smollm2"]
    assert (listed[2]["observations"], listed[2]["changes"]) == (1, 1)


def test_equal_rows_without_a_name_are_kept_and_told(client: TestClient) -> None:
    first = post(client, run(), run(), run(baseline=0.41)).json()
    assert first["created"] == 3
    assert [(one["code"], one["rows"]) for one in first["warnings"]] == [("equal_row", [2])]
    again = post(client, run()).json()
    assert [(one["code"], one["rows"]) for one in again["warnings"]] == [("equal_row", [1])]
    assert stored(client) == 4


def test_an_idempotency_key_replays_the_whole_answer(client: TestClient) -> None:
    body = json.dumps({"observations": [run()]})
    headers = {"Content-Type": MEDIA_TYPES["json"], "Idempotency-Key": "k"}
    first, again = (client.post("/v1/observations", content=body, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert stored(client) == 1
    other = client.post("/v1/observations", content=body + " ", headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_lists_are_filtered_and_paged(client: TestClient) -> None:
    post(client, *(run(external_id=f"r{index}", family="a" if index % 3 else "b") for index in range(30)))
    found: list[str] = []
    query: dict[str, Any] = {"pool": "default", "family": "a", "limit": 7, "order": "asc"}
    while True:
        page = client.get("/v1/observations", params=query).json()
        found += [one["external_id"] for one in page["data"]]
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    assert found == [f"r{index}" for index in range(30) if index % 3]
    assert [one["external_id"] for one in client.get("/v1/observations?external_id=r4").json()["data"]] == ["r4"]
    assert client.get("/v1/observations?excluded=true").json()["data"] == []


@pytest.mark.slow
def test_excluding_needs_a_reason_and_leads_to_a_refit(client: TestClient) -> None:
    one, _ = post(client, run(), run(baseline=0.3)).json()["ids"]
    refused = client.patch(f"/v1/observations/{one}", json={"excluded": True})
    assert (refused.status_code, refused.json()["param"]) == (422, "reason")
    before = client.get("/v1/fits/current").json()
    for _ in range(2):
        shown = client.patch(f"/v1/observations/{one}", json={"excluded": True, "reason": "leaked"}).json()
        assert (shown["excluded"], shown["excluded_reason"]) == (True, "leaked")
    after = client.get("/v1/fits/current").json()
    assert (after["n"], after["changes"]) == (1, before["changes"] + 1)
    client.patch(f"/v1/observations/{one}", json={"excluded": False})
    assert client.get("/v1/fits/current").json()["id"] == before["id"]
    client.patch(f"/v1/observations/{one}", json={"excluded": True, "reason": "first"})
    second = client.patch(f"/v1/observations/{one}", json={"excluded": True, "reason": "second"})
    assert (second.status_code, second.json()["code"]) == (409, "conflict")
    client.patch(f"/v1/observations/{one}", json={"excluded": False})
    kinds = [event["type"] for event in client.get("/v1/events", params={"subject": one}).json()["data"]]
    assert kinds == ["observation.excluded", "observation.included"] * 2
    assert client.patch(f"/v1/observations/{one}", json={}).status_code == 422
    assert client.patch("/v1/observations/obs_0", json={"excluded": False}).status_code == 404
    assert client.patch(f"/v1/observations/{one}", json={"excluded": False, "gap": 1}).status_code == 422


def test_the_documented_fields_are_those_that_are_read(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/v1/observations"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    row = schema["properties"]["observations"]["items"]["properties"]
    assert {name.partition(".")[0] for name in columns()} == set(row)
    assert set(flat(run())) == set(columns())


def test_an_imported_pool_predicts_as_the_law_of_its_rows(client: TestClient) -> None:
    """From counts and numbers sent to the numbers of the law, nothing in between is lost."""
    rows = [run(gap={"value": 0.03 * i, "se": 0.02}, improvement={"value": 0.04 * i, "se": 0.03}) for i in range(9)]
    post(client, *rows)
    shown = client.get("/v1/fits/current").json()["families"][0]
    from service.law import Observations

    law = GapLaw().fit(
        Observations(
            gap=[0.03 * i for i in range(9)],
            gap_var=[0.02**2] * 9,
            improvement=[0.04 * i for i in range(9)],
            improvement_var=[0.03**2] * 9,
            family=["qwen3"] * 9,
            cell=["qwen3|livecodebench-v6|frozen-forward_kl"] * 9,
            baseline=[0.4] * 9,
            teacher=["frozen"] * 9,
            divergence=["forward_kl"] * 9,
        )
    )
    assert shown["slope"] == pytest.approx(law.coefficients("qwen3").slope.mean, abs=1e-12)


@pytest.mark.parametrize("form", ["json", "ndjson", "csv"])
def test_a_file_with_too_many_rows_is_refused_before_any_is_checked(
    refusing: TestClient, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "MOST_ROWS", 3)
    checked: list[Row] = []
    monkeypatch.setattr(service, "prepare", lambda row, *_: checked.append(row))
    bodies = {
        "json": json.dumps({"observations": [{}] * 4}),
        "ndjson": "{}\n\n" * 4,
        "csv": 'external_id,name\n"a\nb",n\nb,n\nc,n\nd,n\n',
    }
    answer = refusing.post(
        "/v1/observations", content=bodies[form], headers={"Content-Type": formats.MEDIA_TYPES[form]}
    )
    assert answer.status_code == 422
    assert "expected at most 3 rows in one import, got 4" in answer.json()["detail"]
    assert not checked


def test_axes_that_think_differently_are_stored_and_come_back(client: TestClient) -> None:
    row = {
        **{"family": "f", "model": "m", "task": "t", "baseline": 0.3, "context_kind": "hints"},
        "gap": {"value": 0.2, "se": 0.02, "thinking": False, "teacher_thinking": True},
        "improvement": {"value": 0.2, "se": 0.02, "thinking": True},
    }
    assert client.post("/v1/observations?pool=mine", json={"observations": [row]}).status_code == 201
    (shown,) = client.get("/v1/observations?pool=mine").json()["data"]
    assert {name: shown["gap"][name] for name in ("thinking", "teacher_thinking")} == {
        "thinking": False,
        "teacher_thinking": True,
    }
    assert shown["improvement"]["thinking"] is True
    assert "teacher_thinking" not in shown["improvement"]
    for form, media in (("csv", "text/csv"), ("ndjson", "application/x-ndjson")):
        body = client.get("/v1/observations/export", params={"pool": "mine", "format": form}).content
        again = client.post(f"/v1/observations?pool=copy-{form}", content=body, headers={"Content-Type": media})
        assert again.status_code == 201, again.text
        (copied,) = client.get(f"/v1/observations?pool=copy-{form}").json()["data"]
        assert (copied["gap"], copied["improvement"]) == (shown["gap"], shown["improvement"])
