"""Names and tags stay with what they were given to, and change nothing of what it is."""

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from tests.support.asking import asked_at, run_of
from tests.support.rows import run

pytestmark = pytest.mark.slow

Body = dict[str, Any]

LABELS: Body = {"name": "qwen3, hints", "tags": ["sweep-3", "lr.5e-4"]}


def labels(shown: Body) -> Body:
    return {"name": shown["name"], "tags": shown["tags"]}


NONE: Body = {"name": None, "tags": []}


def post(client: TestClient, path: str, body: Body, key: str | None = None) -> Body:
    answer = client.post(f"/v1/{path}", json=body, headers={"Idempotency-Key": key} if key else {})
    assert answer.status_code in {200, 201, 202}, answer.text
    shown: Body = answer.json()
    return shown


class TestShown:
    @pytest.mark.parametrize("path", ["predictions", "probes", "training_runs"])
    def test_in_answers_and_lists(self, app: TestClient, configuration: Body, path: str) -> None:
        shown = post(app, path, asked_at(path, configuration) | LABELS)
        assert labels(shown) == LABELS
        assert labels(app.get(f"/v1/{path}/{shown['id']}").json()) == LABELS
        assert [labels(item) for item in app.get(f"/v1/{path}").json()["data"]] == [LABELS]

    @pytest.mark.parametrize("path", ["predictions", "probes", "training_runs"])
    def test_left_out_there_are_none(self, app: TestClient, configuration: Body, path: str) -> None:
        assert labels(post(app, path, asked_at(path, configuration))) == NONE

    def test_a_name_is_trimmed(self, client: TestClient, given: Body) -> None:
        assert post(client, "predictions", given | {"name": "  a b "})["name"] == "a b"


@pytest.mark.parametrize("path", ["predictions", "probes", "training_runs"])
@pytest.mark.parametrize(
    ("param", "sent"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "   "}),
        ("name", {"name": "x" * 201}),
        ("name", {"name": "two\nlines"}),
        ("name", {"name": "\x1b[31mred"}),
        ("name", {"name": "half \ud800 pair"}),
        ("name", {"name": 7}),
        ("tags.1", {"tags": ["a", "A"]}),
        ("tags.0", {"tags": [""]}),
        ("tags.0", {"tags": ["x" * 65]}),
        ("tags.0", {"tags": ["a b"]}),
        ("tags.2", {"tags": ["a", "b", "a"]}),
        ("tags", {"tags": [f"t{number}" for number in range(17)]}),
        ("tags", {"tags": "a"}),
    ],
)
def test_what_does_not_fit_is_named(
    refusing: TestClient, configuration: Body, path: str, param: str, sent: Body
) -> None:
    body = json.dumps(asked_at(path, configuration) | sent)
    answer = refusing.post(f"/v1/{path}", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["param"]) == (422, param)


class TestProbes:
    def test_a_prediction_labels_itself_and_not_its_probe(self, app: TestClient, configuration: Body) -> None:
        predicted = post(app, "predictions", configuration | LABELS)
        assert labels(app.get(f"/v1/probes/{predicted['probe_id']}").json()) == NONE

    def test_a_reused_probe_keeps_its_own(self, app: TestClient, configuration: Body) -> None:
        probe = post(app, "probes", configuration | LABELS)
        again = post(app, "probes", configuration | {"name": "other", "tags": ["other"]})
        predicted = post(app, "predictions", configuration | {"name": "mine"})
        assert again["id"] == predicted["probe_id"] == probe["id"]
        assert labels(app.get(f"/v1/probes/{probe['id']}").json()) == LABELS
        assert labels(predicted) == {"name": "mine", "tags": []}
        assert again["key"] == probe["key"]

    @pytest.mark.parametrize("first", [{"name": "only a name"}, {"tags": ["only-a-tag"]}])
    def test_one_that_has_none_takes_the_first(self, app: TestClient, configuration: Body, first: Body) -> None:
        probe_id = post(app, "predictions", configuration)["probe_id"]
        assert labels(post(app, "probes", configuration)) == NONE
        assert labels(post(app, "probes", configuration | first)) == NONE | first
        later = post(app, "probes", configuration | LABELS)
        assert (later["id"], labels(later)) == (probe_id, NONE | first)


class TestTrainingRuns:
    def test_every_seed_has_them(self, app: TestClient, configuration: Body) -> None:
        group = post(app, "training_runs", run_of(configuration) | LABELS | {"seeds": [0, 1, 2]})
        assert [labels(item) for item in group["data"]] == [LABELS] * 3

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            ({}, LABELS),
            ({"name": "own"}, LABELS | {"name": "own"}),
            ({"tags": ["own"]}, LABELS | {"tags": ["own"]}),
        ],
    )
    def test_left_out_they_are_the_predictions(self, app: TestClient, given: Body, sent: Body, expected: Body) -> None:
        predicted = post(app, "predictions", given | LABELS)
        assert labels(post(app, "training_runs", {"prediction_id": predicted["id"]} | sent)) == expected

    def test_other_labels_are_the_same_run(self, app: TestClient, configuration: Body) -> None:
        post(app, "training_runs", run_of(configuration) | LABELS)
        answer = app.post("/v1/training_runs", json=run_of(configuration) | {"name": "another"})
        assert (answer.status_code, answer.json()["code"]) == (409, "duplicate_run")


class TestIdempotencyKeys:
    @pytest.mark.parametrize("path", ["predictions", "probes", "training_runs"])
    def test_they_belong_to_the_body(self, app: TestClient, configuration: Body, path: str) -> None:
        configuration = asked_at(path, configuration)
        first = post(app, path, configuration | LABELS, key="k")
        assert post(app, path, configuration | LABELS, key="k")["id"] == first["id"]
        for other in ({"name": "x"}, {"tags": []}):
            answer = app.post(f"/v1/{path}", json=configuration | LABELS | other, headers={"Idempotency-Key": "k"})
            assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        assert labels(app.get(f"/v1/{path}/{first['id']}").json()) == LABELS

    def test_so_do_the_tags_of_a_batch(self, app: TestClient) -> None:
        rows = {"observations": [run()]}
        first = post(app, "observations?tag=a", rows, key="k")
        assert post(app, "observations?tag=a", rows, key="k")["ids"] == first["ids"]
        answer = app.post("/v1/observations?tag=b", json=rows, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


class TestObservations:
    def test_of_a_row_and_of_the_batch(self, app: TestClient) -> None:
        batch = post(app, "observations?tag=june&tag=verl", {"observations": [run(**LABELS), run(tags=["verl", "x"])]})
        first, second = (app.get(f"/v1/observations/{one}").json() for one in batch["ids"])
        assert labels(first) == LABELS | {"tags": [*LABELS["tags"], "june", "verl"]}
        assert labels(second) == {"name": None, "tags": ["verl", "x", "june"]}

    def test_sixteen_of_both_together(self, app: TestClient) -> None:
        tags = [f"t{number}" for number in range(16)]
        post(app, "observations?tag=t3", {"observations": [run(tags=tags)]})
        answer = app.post("/v1/observations?tag=more", json={"observations": [run(), run(tags=tags)]})
        assert (answer.status_code, answer.json()["param"]) == (422, "observations.1.tags")

    @pytest.mark.parametrize("form", ["json", "ndjson", "csv", "parquet"])
    def test_they_go_out_and_come_in_again(self, app: TestClient, form: str) -> None:
        rows = [run(**LABELS), run(baseline=0.3), run(name="n", cov=1e-4)]
        post(app, "observations?pool=mine", {"observations": rows})
        file = app.get("/v1/observations/export", params={"pool": "mine", "format": form})
        body = file.content
        if form == "parquet":
            table = pq.read_table(io.BytesIO(body))
            table = table.set_column(table.schema.get_field_index("pool"), "pool", [["copy"] * 3])
            out = io.BytesIO()
            pq.write_table(table, out)
            body = out.getvalue()
        elif form == "csv":
            body = body.replace(b"\nmine,", b"\ncopy,")
        else:
            body = body.replace(b'"mine"', b'"copy"')
        headers = {"Content-Type": file.headers["content-type"].partition(";")[0]}
        answer = app.post("/v1/observations", content=body, headers=headers)
        assert answer.status_code == 201, answer.text
        copies = [app.get(f"/v1/observations/{one}").json() for one in answer.json()["ids"]]
        assert [labels(copy) for copy in copies] == [LABELS, NONE, {"name": "n", "tags": []}]
        assert {copy["pool"] for copy in copies} == {"copy"}

    def test_tags_in_a_table_are_words(self, app: TestClient) -> None:
        head = "family,task,model,context_kind,baseline,gap.value,gap.se,improvement.value,improvement.se,tags\n"
        body = head + 'f,t,m,none,0.4,0.2,0.02,0.2,0.02,"a, b c"\nf,t,m,none,0.4,0.2,0.02,0.3,0.02,\n'
        answer = app.post("/v1/observations", content=body, headers={"Content-Type": "text/csv"})
        first, second = (app.get(f"/v1/observations/{one}").json() for one in answer.json()["ids"])
        assert (first["tags"], second["tags"]) == (["a", "b", "c"], [])

    def test_stored_rows_keep_theirs(self, app: TestClient) -> None:
        (first,) = post(app, "observations", {"observations": [run(external_id="r", **LABELS)]})["ids"]
        again = post(app, "observations", {"observations": [run(external_id="r", tags=["other"])]})
        assert (again["ids"], [warning["code"] for warning in again["warnings"]]) == ([first], ["stored_differently"])
        assert labels(app.get(f"/v1/observations/{first}").json()) == LABELS
