"""What a page of another site can make a browser send without asking the server first changes nothing, on any route."""

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.kit.limits import SAFE_METHODS
from service.settings import Settings

pytestmark = pytest.mark.slow

KEY = "0123456789abcdef0123456789abcdef"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"me:{KEY}".encode()).decode()}
"""what a browser remembers, and adds to whatever any page sends"""

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "https://evil.example:8321"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:9000"},
    {"Origin": "http://localhost:8321"},
    {"Origin": "http://127.0.0.1:8321.evil.example"},
    {"Origin": "http://127.0.0.1:x"},
    {"Origin": "http://[::1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8321"},
]
OWN = [
    {},
    {"Origin": "http://127.0.0.1:8321"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8321"},
    {"Sec-Fetch-Site": "none"},
]
SIMPLE = [None, "text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data"]
"""types of a body that a page may send anywhere without asking first; None: a body without a type"""


def unsafe_routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and path that may change something."""
    return [
        (method, route.path)  # type: ignore[attr-defined]
        for route in app.routes
        for method in sorted(getattr(route, "methods", None) or ())
        if method not in SAFE_METHODS
    ]


def address(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "x", path)


@pytest.fixture
def app(client: TestClient) -> FastAPI:
    assert isinstance(client.app, FastAPI)
    return client.app


@pytest.fixture
def guarded(tmp_path: Path, migrated: Path) -> Iterator[TestClient]:
    """A server with a key under a name, as behind a reverse proxy."""
    settings = Settings(data_dir=tmp_path, api_key=KEY, log_level="error")
    shutil.copy(migrated, tmp_path / "gapcast.db")
    with TestClient(create_app(settings), base_url="http://gapcast.example", headers=BASIC) as made:
        yield made


@pytest.fixture(scope="module")
def documented_paths(refusing: TestClient) -> dict[str, Any]:
    """The paths of the OpenAPI document, which takes a second to make."""
    paths: dict[str, Any] = refusing.get("/openapi.json").json()["paths"]
    return paths


def test_the_routes_that_change_something_are_found(app: FastAPI, documented_paths: dict[str, Any]) -> None:
    documented = {
        (method.upper(), path)
        for path, operations in documented_paths.items()
        for method in operations
        if method.upper() not in SAFE_METHODS
    }
    assert documented
    assert documented <= set(unsafe_routes(app))


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_every_route_refuses_a_foreign_page(client: TestClient, app: FastAPI, headers: dict[str, str]) -> None:
    for method, path in unsafe_routes(app):
        answer = client.request(method, address(path), headers=headers, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin"), path
        name = "Sec-Fetch-Site" if "Sec-Fetch-Site" in headers else "Origin"
        assert answer.json()["errors"][0]["param"] == name
        assert answer.json()["errors"][0]["value"] == headers[name]
        assert "Call the API from a program, or open Gapcast's page" in answer.json()["detail"]
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_every_route_serves_programs_and_our_own_page(
    client: TestClient, app: FastAPI, headers: dict[str, str]
) -> None:
    for method, path in unsafe_routes(app):
        assert client.request(method, address(path), headers=headers, json={}).status_code != 403, path


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_any_page_may_read_what_its_browser_shows_it(client: TestClient, headers: dict[str, str]) -> None:
    """A link from elsewhere to our page is one; what a script reads the browser keeps from it."""
    assert client.get("/", headers=headers).status_code == 200
    assert client.options("/v1/predictions", headers=headers).status_code == 405


@pytest.mark.parametrize(
    ("host", "origin", "ours"),
    [
        ("gapcast.example", "https://gapcast.example", True),
        ("gapcast.example:443", "https://gapcast.example", True),
        ("gapcast.example", "http://gapcast.example", True),
        ("gapcast.example", "http://gapcast.example:80", True),
        ("Gapcast.Example", "https://gapcast.example", True),
        ("[::1]:8321", "http://[::1]:8321", True),
        ("gapcast.example:80", "https://gapcast.example", False),
        ("gapcast.example", "https://gapcast.example:8321", False),
        ("gapcast.example", "https://other.gapcast.example", False),
        ("gapcast.example", "https://example", False),
        ("upstream:8321", "https://gapcast.example", False),
    ],
)
def test_a_port_that_is_left_out_is_the_schemes(guarded: TestClient, host: str, origin: str, ours: bool) -> None:
    answer = guarded.post("/v1/fits", json={"pool": "lab"}, headers={"Host": host, "Origin": origin})
    assert answer.status_code == (200 if ours else 403)
    assert ours or host in answer.json()["detail"]


def test_a_foreign_page_in_a_browser_that_remembers_the_key(guarded: TestClient, configuration: dict[str, Any]) -> None:
    """The form that a page of another site posts, and the one that our own page sends."""
    given = configuration | {"gap": {"value": 0.2, "se": 0.02, "student": 0.4}, "pool": "lab"}
    del given["probe"]
    sent = json.dumps(given)
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    for kind in ("text/plain", "application/json"):
        answer = guarded.post("/v1/predictions", content=sent, headers=foreign | {"Content-Type": kind})
        assert answer.status_code == 403
    assert guarded.get("/v1/predictions").json()["data"] == []
    own = {"Origin": "http://gapcast.example", "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    assert guarded.post("/v1/predictions", content=sent, headers=own).status_code == 200
    assert len(guarded.get("/v1/predictions").json()["data"]) == 1


@pytest.mark.parametrize("kind", SIMPLE)
def test_no_route_takes_a_body_of_another_type_for_json(
    client: TestClient, app: FastAPI, documented_paths: dict[str, Any], kind: str | None
) -> None:
    """Neither does one that needs no body: it does what it does without one. Forms of our pages are not JSON."""
    for method, path in unsafe_routes(app):
        if path not in documented_paths:
            assert not path.startswith("/v1/"), path
            continue
        operation = documented_paths[path][method.lower()]
        query = {one["name"]: "exact" for one in operation.get("parameters", []) if one["required"]}
        headers = {"Content-Type": kind} if kind is not None else {}
        answer = client.request(method, address(path), content=b'{"pool": "lab"}', params=query, headers=headers)
        if "requestBody" in operation:
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), path
            problem = answer.json()["errors"][0]
            assert (problem["param"], problem["value"]) == ("Content-Type", kind)
            assert "Send this header with the type of the body" in answer.json()["detail"]
        else:
            assert answer.status_code == 404, path
