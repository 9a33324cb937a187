"""The pages that take files, through the whole application and without JavaScript."""

import base64
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient

from tests.support.markup import Elements

pytestmark = pytest.mark.slow

FORM = {"content-type": "application/x-www-form-urlencoded"}
HEAD = "external_id,family,task,model,context_kind,baseline,gap.value,gap.se,improvement.value,improvement.se"
GOOD = [f"run-{n},fam,t,m,hints,0.4,{0.05 * n:.2f},0.02,{0.05 * n:.2f},0.02" for n in range(1, 6)]
NASTY = '</textarea><script>alert("row")</script>'


def send(client: TestClient, page: str, **fields: str) -> Elements:
    answer = client.post(f"/import/{page}", content=urlencode(fields), headers=FORM)
    assert answer.status_code == 200, answer.text[:300]
    assert "<script>alert" not in answer.text
    return Elements(answer.text)


def text(*rows: str) -> str:
    return "\n".join([HEAD, *rows])


def test_all_faults_come_at_once_with_line_and_field(client: TestClient) -> None:
    rows = [GOOD[0], GOOD[1].replace("0.02", "-1"), "too,few", GOOD[3].replace("hints", NASTY)]
    found = send(client, "observations", text=text(*rows), pool="mine", do="store")
    faults = dict(found.rows("table"))
    assert set(faults) == {"gap.se", "improvement.se", "observations.2", "context_kind"}
    assert "row 2 (line 3)" in faults["gap.se"]
    assert "row 3 (line 4): expected 10 cells" in faults["observations.2"]
    assert "row 4 (line 5)" in faults["context_kind"]
    assert client.get("/v1/observations?family=fam").json()["data"] == []


def test_a_check_stores_nothing_and_a_store_shows_the_law_change(client: TestClient) -> None:
    checked = send(client, "observations", text=text(*GOOD), pool="mine", do="check")
    assert "5 observations would be stored" in checked.text_of("[role=status]")
    assert len(checked.rows("table")) == 5
    assert client.get("/v1/pools/mine").status_code == 404, "not even its pool is made"
    stored = send(client, "observations", text=text(*GOOD), pool="mine", do="store")
    assert "5 observations stored" in stored.text_of("[role=status]")
    [place] = [one["hx-get"] for one in stored.named("div") if "hx-get" in one]
    assert place == "/law/change?pool=mine&before="
    client.get("/v1/fits/current?pool=mine")
    assert place is not None
    [row] = Elements(client.get(place).text).rows("table")
    assert (row[0], row[1].split(",")[0]) == ("none", "5 observations")
    again = send(client, "observations", text=text(*GOOD, GOOD[0].replace("run-1", "run-9")), pool="mine", do="check")
    assert "1 observation would be stored, 5 are stored already" in again.text_of("[role=status]")


def test_what_is_stored_otherwise_is_a_fault_before_it_is_sent_to_be_stored(client: TestClient) -> None:
    send(client, "observations", text=text(GOOD[0]), pool="mine", do="store")
    other = send(client, "observations", text=text(GOOD[0].replace("0.4", "0.5")), pool="mine", do="check")
    [[field, fault]] = other.rows("table")
    assert (field, "is stored already with baseline 0.4, now 0.5" in fault) == ("external_id", True)
    [[field, fault]] = send(client, "observations", text=text(GOOD[0]), pool="lab", do="check").rows("table")
    assert (field, "read-only" in fault) == ("pool", True)


def test_a_parquet_file_of_ours_is_taken(client: TestClient) -> None:
    file = client.get("/v1/observations/export?pool=lab&format=parquet").content
    sent = {"packed": base64.b64encode(file).decode(), "format": "parquet", "pool": "copy"}
    found = send(client, "observations", **sent, do="check")
    total = client.get("/v1/pools/lab").json()["observations"]
    assert f"{total} observations would be stored" in found.text_of("[role=status]")


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        ({}, "file", "got neither"),
        ({"packed": "no base64!"}, "file", "expected base64"),
        ({"text": HEAD, "format": "xlsx"}, "format", "expected one of json"),
        ({"text": HEAD, "map": "nothing"}, "map", "expected COLUMN=FIELD"),
        ({"text": HEAD, "pool": "No Pool"}, "pool", "No Pool"),
    ],
)
def test_a_form_that_is_wrong_is_told(client: TestClient, sent: dict[str, str], field: str, said: str) -> None:
    [[named, fault]] = send(client, "observations", **sent).rows("table")
    assert (named, said in fault) == (field, True), fault


def test_excluding_leads_to_the_change_of_the_law(client: TestClient) -> None:
    send(client, "observations", text=text(*GOOD), pool="mine", do="store")
    before = client.get("/v1/fits/current?pool=mine").json()["id"]
    [one, *_] = client.get("/v1/observations?pool=mine").json()["data"]
    answer = client.post(f"/observations/{one['id']}", content="excluded=true&reason=twice", headers=FORM)
    [place] = [div["hx-get"] for div in Elements(answer.text).named("div") if "hx-get" in div]
    assert place == f"/law/change?pool=mine&before={before}"
    client.get("/v1/fits/current?pool=mine")
    [row] = Elements(client.get(place).text).rows("table")
    assert [cell.split(",")[0] for cell in row] == ["5 observations", "4 observations"]


def test_a_task_is_uploaded_and_its_page_follows_the_self_check(client: TestClient) -> None:
    lines = "\n".join(
        f'{{"prompt": "What is {n} + 1? {NASTY[11:]}", "answer": "{n + 1}"}}'.replace('"row"', "1") for n in range(8)
    )
    sent = {"text": lines, "format": "ndjson", "name": "mine/sums", "verifier": "exact"}
    answer = client.post("/import/task", content=urlencode(sent), headers=FORM)
    assert answer.url.path == "/tasks/mine/sums"
    page = Elements(answer.text)
    assert page.facts()["Status"] == "being checked"
    assert "no worker" in page.facts()["Self-check"].lower()
    assert page.attributes_of("#found")["hx-get"] == "/tasks/mine/sums"
    assert len(page.named("details")) == 5
    assert "<script>alert" not in answer.text
    led = client.post("/import/task", content=urlencode(sent), headers=FORM | {"hx-request": "true"})
    assert led.headers["hx-redirect"] == "/tasks/mine/sums"


def test_faults_of_a_task_stand_on_the_page(client: TestClient) -> None:
    sent = {"text": '{"prompt": "a"}\n{"answer": 1}', "format": "ndjson", "name": "Not A Name", "verifier": "exact"}
    [[field, _]] = send(client, "task", **sent).rows("table")
    assert field == "name"
    faults = send(client, "task", **(sent | {"name": "mine/sums"})).rows("table")
    assert len(faults) >= 2
    assert send(client, "task", **(sent | {"from": "nothing"})).rows("table")[0][0] == "from"
