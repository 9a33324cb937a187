"""Curves come as a list, or as a column a step, in every format."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from service.observations.formats import MEDIA_TYPES
from tests.support.rows import Row, run

WIDE: Row = {
    **{"family": "f", "task": "t", "model": "m", "context_kind": "feedback", "baseline": 0.4},
    **{"gap.value": 0.2, "gap.se": 0.02, "improvement.value": 0.3, "improvement.problems": 128},
    **{"improvement.rollouts": 4, "recipe.teacher": "ema", "recipe.divergence": "reverse_kl", "recipe.steps": 150},
}


def send(client: TestClient, body: bytes, form: str) -> Any:
    return client.post("/v1/observations", content=body, headers={"Content-Type": MEDIA_TYPES[form]})  # type: ignore[index]


def csv(row: Row) -> bytes:
    return "\n".join([",".join(row), ",".join("" if cell is None else str(cell) for cell in row.values())]).encode()


def parquet(row: Row) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({name: [value] for name, value in row.items()}), out)
    return out.getvalue()


def curve_of(client: TestClient, body: bytes, form: str) -> list[Row]:
    answer = send(client, body, form)
    assert answer.status_code == 201, answer.text
    found: list[Row] = client.get(f"/v1/observations/{answer.json()['ids'][0]}").json()["curve"]
    return found


class TestAColumnAStep:
    @pytest.mark.parametrize("form", ["csv", "parquet"])
    def test_accuracies_become_improvements_in_order_of_step(self, client: TestClient, form: str) -> None:
        row = WIDE | {
            "accuracy@60": 0.6,
            "accuracy@30": 0.5,
            "se@30": 0.03,
            "improvement@90": 0.25,
            "accuracy@120": None,
        }
        if form == "parquet":
            del row["accuracy@120"]
        found = curve_of(client, csv(row) if form == "csv" else parquet(row), form)
        assert [look["step"] for look in found] == [30, 60, 90]
        assert [round(look["improvement"], 6) for look in found] == [0.1, 0.2, 0.25]
        assert found[0]["se"] == 0.03
        # assumed as the improvement's is, from 128 problems x 4
        assert 0.02 < found[1]["se"] < 0.05

    def test_json_takes_them_too(self, client: TestClient) -> None:
        row = run(baseline=0.4) | {"accuracy@30": 0.5, "se@30": 0.03}
        found = curve_of(client, json.dumps({"observations": [row]}).encode(), "json")
        assert [(look["step"], round(look["improvement"], 6)) for look in found] == [(30, 0.1)]

    @pytest.mark.parametrize(
        ("change", "param", "says"),
        [
            ({"accuracy@30": 42}, "accuracy@30", "expected a number from 0 to 1, got 42. 0.42 is 42 per cent."),
            ({"accuracy@30": -0.1}, "accuracy@30", "expected a number from 0 to 1, got -0.1."),
            ({"accuracy@30": "x"}, "accuracy@30", "expected a number, got 'x'."),
            ({"accuracy@30": 0.5, "improvement@30": 0.1}, "accuracy@30", "Leave one of them out."),
            ({"se@30": 0.02}, "se@30", "belongs to accuracy@30. Add that, or leave it out."),
            ({"accuracy@200": 0.5}, "curve.0.step", "expected at most 150, the steps of the run"),
            (
                {"accuracy@30": 0.5, "improvement.se": 0.03, "improvement.problems": None},
                *("se@30", "Add it, or improvement.problems and improvement.rollouts"),
            ),
            ({"accuracy@30": 0.5, "curve": "[]"}, "accuracy@30", "gives the curve a second time."),
        ],
    )
    def test_what_does_not_fit_is_named_by_its_column(
        self, refusing: TestClient, change: Row, param: str, says: str
    ) -> None:
        answer = send(refusing, csv(WIDE | change), "csv")
        assert (answer.status_code, answer.json()["param"]) == (422, f"observations.0.{param}"), answer.text
        assert says in answer.json()["detail"]

    def test_a_column_that_is_nearly_one_is_refused_by_name(self, refusing: TestClient) -> None:
        for name in ("accuracy@", "acc@30", "accuracy@0", "accuracy@1.5"):
            answer = send(refusing, csv(WIDE | {name: 0.5}), "csv")
            assert answer.status_code == 422
            assert f"column {name!r} is not known" in answer.json()["detail"]
            assert "accuracy@STEP" in answer.json()["detail"]


class TestAList:
    LOOKS = ({"step": 30, "accuracy": 0.5}, {"step": 60, "improvement": 0.2, "se": 0.03})

    def test_looks_of_accuracies_are_taken_in_every_format(self, client: TestClient) -> None:
        nested = run(baseline=0.4) | {"improvement": {"value": 0.3, "problems": 128, "rollouts": 4}}
        rows = json.dumps(nested | {"curve": self.LOOKS})
        whole = [{"accuracy": None, "improvement": None, "se": None} | look for look in self.LOOKS]
        bodies = {
            "json": json.dumps({"observations": [json.loads(rows)]}).encode(),
            "ndjson": rows.encode(),
            "csv": csv(WIDE).replace(b"family", b"curve,family").replace(b"\nf,", b'\n"' + QUOTED + b'",f,'),
            "parquet": parquet(WIDE | {"curve": whole}),
        }
        for form, body in bodies.items():
            found = curve_of(client, body, form)
            assert [(look["step"], round(look["improvement"], 6)) for look in found] == [(30, 0.1), (60, 0.2)], form
            assert found[1]["se"] == 0.03

    def test_faults_are_named_by_their_place(self, refusing: TestClient) -> None:
        for look, param, says in (
            ({"step": 30, "accuracy": 1.5}, "curve.0.accuracy", "expected a number from 0 to 1, got 1.5."),
            ({"step": 30, "accuracy": 0.5, "improvement": 0.1}, "curve.0.accuracy", "Leave one of them out."),
            ({"step": 30, "improvement": 0.1}, "curve.0.se", "a look needs its standard error."),
            ({"step": 0, "improvement": 0.1, "se": 0.1}, "curve.0.step", "got 0."),
        ):
            row = run(baseline=0.4) | {"curve": [look]}
            answer = send(refusing, json.dumps({"observations": [row]}).encode(), "json")
            assert (answer.status_code, answer.json()["param"]) == (422, f"observations.0.{param}"), answer.text
            assert says in answer.json()["detail"]


QUOTED = json.dumps(TestAList.LOOKS).replace('"', '""').encode()
