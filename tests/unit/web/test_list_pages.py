"""The pages of lists and of single items, through the whole application."""

import csv
import io
import json
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from service.web.lists import TABLES
from tests.support.markup import Elements

Body = dict[str, Any]
NASTY = '</script><script>alert("name")</script>'
GAP = {"value": 0.3, "se": 0.03, "student": 0.25}


def shown(client: TestClient, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status, response.text[:300]
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in response.headers["content-security-policy"]
    return response.text


@pytest.fixture
def asked(client: TestClient, configuration: Body) -> list[Body]:
    """Two predictions of a given gap, the second named as an attacker would."""
    del configuration["probe"]
    bodies = [
        configuration | {"gap": GAP},
        configuration | {"gap": GAP | {"value": 0.2}, "name": NASTY, "tags": ["mine"]},
    ]
    return [client.post("/v1/predictions", json=body).json() for body in bodies]


def test_every_page_is_linked_from_every_other_and_says_what_it_is_for(client) -> None:
    for table in TABLES:
        page = shown(client, f"/{table.path}")
        assert f'<a href="/{table.path}" aria-current="page">' in page
        assert page.count("<h1") == 1
        for other in TABLES:
            assert f'href="/{other.path}"' in page
    assert 'href="/predictions"' in shown(client, "/")
    assert "No worker has given a sign of life" in shown(client, "/workers")


def test_a_row_says_what_was_predicted_and_leads_to_it(client, asked) -> None:
    page = shown(client, "/predictions")
    value = 100 * asked[0]["improvement"]["value"]
    assert f"{value:+.1f} (".replace("-", "\N{MINUS SIGN}") in page
    for one in asked:
        assert f'href="/predictions/{one["id"]}"' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_filters_narrow_pages_follow_each_other_and_empty_inputs_say_nothing(client, asked) -> None:
    page = shown(client, "/predictions?tag=mine&name=&model=")
    assert asked[1]["id"] in page
    assert asked[0]["id"] not in page
    first = shown(client, "/predictions?limit=1&order=asc")
    assert asked[0]["id"] in first
    following = Elements(first).links("Next page")
    assert following == [f"/predictions?limit=1&order=asc&after={asked[0]['id']}"]
    last = shown(client, following[0])
    assert asked[1]["id"] in last
    assert "Next page" not in last
    assert Elements(last).links("First page") == ["/predictions?limit=1&order=asc"]
    assert "Nothing matches." in shown(client, "/predictions?tag=yours")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/predictions?status=done", "status: expected queued, running,"),
        ("/predictions?stats=done", "Did you mean status?"),
        ("/observations?pool=nosuch", "nosuch"),
        ("/observations?limit=1000", "limit: expected"),
    ],
)
def test_an_address_that_asks_for_nonsense_is_told_on_the_page(client, address, said) -> None:
    assert said in shown(client, address, 422)


def test_an_observation_a_task_and_a_model_have_pages_of_their_own(client) -> None:
    row = {"family": "far", "task": "t", "model": NASTY, "context_kind": "hints", "external_id": "my run"}
    figures = {"gap": {"value": 0.2, "se": 0.02}, "improvement": {"value": 0.1, "se": 0.02}, "baseline": 0.4}
    made = client.post("/v1/observations", json={"observations": [row | figures | {"cov": 0}]})
    assert made.status_code == 201, made.text
    stored = client.get("/v1/observations?external_id=my run").json()["data"][0]
    page = shown(client, f"/observations/{stored['id']}")
    assert "my run" in page
    assert "<script>alert" not in page
    path = f"/observations/{stored['id']}"
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert "reason: expected the reason" in client.post(path, content="excluded=true", headers=form).text
    excluded = client.post(path, content=f"excluded=true&reason={quote(NASTY)}", headers=form)
    assert excluded.url.path == path
    assert "&lt;script&gt;alert" in excluded.text
    assert client.get(f"/v1{path}").json()["excluded_reason"] == NASTY
    again = client.post(path, content="excluded=true&reason=another", headers=form)
    assert (again.status_code, "is excluded already" in again.text) == (409, True)
    assert client.post(path, content="excluded=false", headers=form).status_code == 200
    assert client.get(f"/v1{path}").json()["excluded"] is False
    foreign = client.post(path, content="excluded=true&reason=x", headers=form | {"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    assert "to train and probe on" in shown(client, "/tasks/lab/addition")
    assert "Revision" in shown(client, "/models/lab/addition-qwen3-m")
    assert client.get("/observations/obs_nosuch").status_code == 404


def test_every_filter_is_a_parameter_of_its_list() -> None:
    for table in TABLES:
        for name in table.filters:
            assert table.query is not None
            assert name in table.query.model_fields, (table.path, name)


def test_a_list_is_searched_chosen_from_and_handed_out(client, asked) -> None:
    page = Elements(shown(client, "/predictions?text=ALERT"))
    assert [one["value"] for one in page.named("input") if one.get("name") == "id"] == [asked[1]["id"]]
    assert page.links("NDJSON") == ["/predictions.ndjson?text=ALERT"]
    both = f"id={asked[0]['id']}&id={asked[1]['id']}"
    lines = [json.loads(line) for line in client.get(f"/predictions.ndjson?{both}").text.splitlines()]
    assert lines == [client.get(f"/v1/predictions/{one['id']}").json() for one in reversed(asked)]
    file = client.get(f"/predictions.csv?id={asked[0]['id']}")
    assert file.headers["content-disposition"] == 'attachment; filename="predictions.csv"'
    [row] = csv.DictReader(io.StringIO(file.text))
    assert float(row["improvement.value"]) == asked[0]["improvement"]["value"]
    assert row["request.context.kind"] == "hints"
    assert client.get("/predictions.parquet").status_code == 404
    assert "id: expected" in client.get(f"/predictions.csv?{'&'.join(f'id=p{n}' for n in range(101))}").text


def test_a_list_is_sorted_by_its_heads(client, asked) -> None:
    page = Elements(shown(client, "/predictions"))
    assert page.links("Asked ↓") == ["/predictions?order=asc"]
    [by_gap] = page.links("Gap ± SE")
    assert by_gap == "/predictions?sort=gap"
    for address, expected in ((by_gap, asked), (f"{by_gap}&order=asc", asked[::-1])):
        found = Elements(shown(client, address))
        ids = [one["value"] for one in found.named("input") if one.get("name") == "id"]
        assert ids == [one["id"] for one in expected]
    turned = Elements(shown(client, f"{by_gap}&order=asc&text=lab"))
    assert turned.links("Gap ± SE ↑") == ["/predictions?text=lab&sort=gap"]
    assert [one["aria-sort"] for one in turned.named("th") if "aria-sort" in one] == ["ascending"]
    hidden = {one["name"]: one.get("value") for one in turned.named("input") if one.get("type") == "hidden"}
    assert hidden == {"sort": "gap", "order": "asc"}


def test_a_file_holds_every_page_of_a_list(client, configuration, monkeypatch) -> None:
    del configuration["probe"]
    monkeypatch.setattr("service.web.exports.PAGE", 2)
    monkeypatch.setattr("service.web.exports.MOST_CSV", 4)
    for _ in range(5):
        client.post("/v1/predictions", json=configuration | {"gap": GAP})
    assert len(client.get("/predictions.ndjson").text.splitlines()) == 5
    refused = client.get("/predictions.csv")
    assert (refused.status_code, "Narrow the list" in refused.text) == (422, True)


def test_chosen_observations_are_exported_in_every_format_of_the_api(client) -> None:
    [one, other, *_] = client.get("/v1/observations?pool=lab").json()["data"]
    for form in ("csv", "ndjson", "parquet"):
        answer = client.get(f"/observations.{form}?id={one['id']}&id={other['id']}")
        assert answer.url.path == "/v1/observations/export"
        assert answer.status_code == 200
    assert len(client.get(f"/observations.ndjson?id={one['id']}&id={other['id']}").text.splitlines()) == 2


def test_predictions_are_compared_side_by_side(client, asked, configuration) -> None:
    both = [one["id"] for one in asked]
    page = Elements(shown(client, f"/predictions/compare?id={both[0]}&id={both[1]}"))
    rows = page.rows("table")
    assert [float(row[0].split()[0].replace("\N{MINUS SIGN}", "-")) for row in rows] == sorted(
        (round(100 * one["improvement"]["value"], 1) for one in asked), reverse=True
    )
    assert page.facts()["Model"] == configuration["model"]["name"]
    assert "Gap" not in page.facts(), "it differs"
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = f"id={both[0]}&id={both[1]}&by=probing"
    refused = client.post("/predictions/compare", content=body, headers=form)
    assert refused.status_code == 422, "one configuration twice is no comparison"
    other = client.post("/v1/predictions", json=configuration | {"gap": GAP, "probe": None, "recipe": {"steps": 10}})
    assert other.status_code == 200, other.text
    made = client.post(
        "/predictions/compare",
        content=f"id={both[0]}&id={other.json()['id']}&by=probing",
        headers=form,
        follow_redirects=False,
    )
    assert made.status_code == 303, made.text[:300]
    comparison = made.headers["location"].removeprefix("/comparisons/")
    assert len(client.get(f"/v1/comparisons/{comparison}").json()["configurations"]) == 2
    assert "expected 2 to" in shown(client, f"/predictions/compare?id={both[0]}", 422)
    assert "expected predictions that exist, got" in shown(client, f"/predictions/compare?id={both[0]}&id=pred_1", 422)
