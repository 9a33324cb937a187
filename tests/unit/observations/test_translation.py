"""A table in its owner's words and units is read as ours, in every format; what is wrong with it is named in theirs."""

import io
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.observations.formats import MEDIA_TYPES
from service.settings import Settings

Row = dict[str, Any]


@pytest.fixture(scope="module")
def app(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One application for all; each post has a pool of its own."""
    folder = tmp_path_factory.mktemp("translating")
    shutil.copy(migrated, folder / "gapcast.db")
    with TestClient(create_app(Settings(data_dir=folder, log_level="error")), base_url="http://127.0.0.1") as made:
        yield made


ROWS: list[Row] = [
    {"Name": "a", "State": "finished", "acc_before": 40.0, "acc_teacher": 60.0, "acc_after": 55.0, "kind": "feedback"},
    {"Name": "b", "State": "crashed", "acc_before": 41.0, "acc_teacher": 55.0, "acc_after": 50.0, "kind": "hints"},
]
MAP = ["Name=external_id", "acc_before=before", "acc_teacher=teacher", "acc_after=after", "kind=context_kind"]
DEFAULT = [
    *("family=qwen3", "model=m", "task=t", "recipe.teacher=ema", "recipe.divergence=js"),
    *("problems=256", "rollouts=4"),
]


def written(rows: list[Row], form: str) -> bytes:
    if form == "parquet":
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), out)
        return out.getvalue()
    if form == "csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        return "\n".join(lines).encode()
    lines = [json.dumps(row) for row in rows]
    return ("\n".join(lines) if form == "ndjson" else f"[{', '.join(lines)}]").encode()


def post(app: TestClient, body: bytes, form: str = "csv", **query: Any) -> Any:
    pool = f"pool-{uuid.uuid4().hex[:12]}"
    asked = {"map": MAP, "default": DEFAULT, "percent": True, "pool": pool} | query
    headers = {"Content-Type": MEDIA_TYPES[form]}  # type: ignore[index]
    return app.post("/v1/observations", content=body, params=asked, headers=headers)


@pytest.mark.parametrize(
    "form", ["csv", *(pytest.param(one, marks=pytest.mark.slow) for one in MEDIA_TYPES if one != "csv")]
)
def test_columns_defaults_and_percent_become_a_run(app: TestClient, form: str) -> None:
    answer = post(app, written(ROWS, form), form)
    assert answer.status_code == 201, answer.text
    batch = answer.json()
    assert (batch["created"], batch["unused"]) == (2, ["State"])
    shown = app.get(f"/v1/observations/{batch['ids'][0]}").json()
    assert (shown["external_id"], shown["baseline"], shown["context_kind"]) == ("a", 0.4, "feedback")
    assert (shown["gap"]["value"], shown["improvement"]["value"]) == (0.2, 0.15)
    assert (shown["gap"]["variance"], shown["improvement"]["problems"]) == ("assumed", 256)
    assert shown["cell"] == "qwen3|t|ema-js"


def test_only_what_a_row_lacks_is_given_to_it(app: TestClient) -> None:
    rows = [ROWS[0] | {"recipe": {"teacher": "frozen"}}, ROWS[1]]
    ids = post(app, written(rows, "json"), "json").json()["ids"]
    recipes = [app.get(f"/v1/observations/{one}").json()["recipe"] for one in ids]
    assert [(one["teacher"], one["divergence"]) for one in recipes] == [("frozen", "js"), ("ema", "js")]


def test_errors_of_means_and_variances_are_in_percent_too(app: TestClient) -> None:
    row = ROWS[0] | {"gap.se": "2 %", "improvement.se": 3.0, "cov": 1.5, "accuracy@30": 47.0}
    (made,) = post(app, written([row], "csv")).json()["ids"]
    shown = app.get(f"/v1/observations/{made}").json()
    assert (shown["gap"]["se"], shown["improvement"]["se"], shown["cov"]) == (0.02, 0.03, 0.00015)
    assert [(look["step"], round(look["improvement"], 9)) for look in shown["curve"]] == [(30, 0.07)]


SHARES = [row | {name: row[name] / 100 for name in ("acc_before", "acc_teacher", "acc_after")} for row in ROWS]
OVER = [ROWS[0], ROWS[1] | {"acc_after": 141.0}]
MISSING = [{name: value for name, value in row.items() if name != "acc_teacher"} for row in ROWS]


@pytest.mark.parametrize(
    ("rows", "query", "says"),
    [
        (ROWS, {"map": ["acc_before=basline"]}, "got 'basline'. Did you mean 'baseline'?"),
        (
            ROWS,
            {"map": ["acc_befor=before"]},
            "got 'acc_befor'. Did you mean 'acc_before'? The columns are Name, State",
        ),
        (ROWS, {"map": ["acc_before=before", "acc_after=before"]}, "both 'acc_before' and 'acc_after' are before"),
        (ROWS, {"map": ["Name"]}, "expected COLUMN=FIELD, got 'Name'"),
        (ROWS, {"default": ["famly=qwen3"]}, "Did you mean 'family'?"),
        (ROWS, {"map": [], "default": []}, "column 'Name' is not known. Did you mean 'name'?"),
        (SHARES, {}, "got none above 1 (the largest is 0.6), so they look like shares. Leave percent out."),
        (OVER, {}, "row 2 (line 3): column 'acc_after': expected a percentage from 0 to 100, got 141."),
        (
            ROWS,
            {"percent": False},
            "row 1 (line 2): column 'acc_before': expected a number from 0 to 1, got 40. 0.4 is 40",
        ),
        (MISSING, {"map": [one for one in MAP if "teacher" not in one]}, "a run needs its gap. Add teacher"),
        (ROWS, {"default": [*DEFAULT, "baseline=40"]}, "column 'acc_before': says what baseline says"),
        ([ROWS[0] | {"acc_teacher": "ema"}], {}, "expected a number, got 'ema'. The teacher's rule is recipe.teacher."),
    ],
)
def test_a_fault_is_named_and_nothing_is_stored(app: TestClient, rows: list[Row], query: Row, says: str) -> None:
    answer = post(app, written(rows, "csv"), **query, pool="faulty")
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert "faulty" not in [one["name"] for one in app.get("/v1/pools").json()["data"]]


def test_a_column_in_another_unit_than_the_others_is_warned_of(app: TestClient) -> None:
    rows = [row | {"gap.se": 0.02} for row in ROWS]
    warned = [one["message"] for one in post(app, written(rows, "csv")).json()["warnings"]]
    assert any(one.startswith("gap.se: no value is above 0.02, so they look like shares") for one in warned)


def test_rows_that_are_nested_without_end_are_refused(app: TestClient) -> None:
    body = '[{"Name": "a", "x": ' + '{"x":' * 900 + "1" + "}" * 901 + "]"
    answer = post(app, body.encode(), "json", map=["Name=external_id"], default=[], percent=False)
    assert answer.status_code == 422


def test_a_column_that_is_mapped_wins_over_one_that_is_called_so(app: TestClient) -> None:
    rows = [row | {"task": "other"} for row in ROWS]
    batch = post(app, written(rows, "csv"), map=[*MAP, "State=task"]).json()
    assert batch["unused"] == ["task"]
    assert app.get(f"/v1/observations/{batch['ids'][0]}").json()["task"] == "finished"
    assert post(app, written(rows, "csv"), map=[*MAP, "task=", "Name=name"][1:], default=[*DEFAULT]).status_code == 201
