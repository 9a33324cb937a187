"""The pages of lists and of single items, through the whole application."""

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
