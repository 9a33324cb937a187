"""The OpenAPI document and the methods of paths say what the server does."""

from typing import Any

import pytest
from fastapi.testclient import TestClient


@pytest.fixture(scope="module")
def document(refusing: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = refusing.get("/openapi.json").json()
    return found


def test_every_error_is_a_problem_by_its_media_type(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                if int(status) >= 400 and path != "/readyz":
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)
    assert "HTTPValidationError" not in str(document)


def test_errors_that_any_request_can_meet_are_there_once(document: dict[str, Any]) -> None:
    posted = document["paths"]["/v1/predictions"]["post"]["responses"]
    assert posted.keys() >= {"400", "401", "403", "413", "415", "421", "422", "429", "503"}
    assert posted["413"]["description"].count("`body_too_large`") == 1
    read = document["paths"]["/v1/predictions"]["get"]["responses"]
    assert read.keys() >= {"401", "421", "422", "503"}
    assert read.keys().isdisjoint({"403", "413", "415"})


def test_events_are_a_page_or_a_stream(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/probes/{probe_id}/events"]["get"]["responses"]["200"]["content"]
    assert content.keys() == {"application/json", "text/event-stream"}


def test_every_get_answers_head_without_a_body(refusing: TestClient, document: dict[str, Any]) -> None:
    paths = [path for path, operations in document["paths"].items() if "get" in operations and "{" not in path]
    assert len(paths) > 10
    for path in [*paths, "/", "/v1/probes/none"]:
        head, get = refusing.head(path), refusing.get(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["content-type"] == get.headers["content-type"]
        if "content-length" in get.headers:
            assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/predictions", "GET, HEAD, POST"),
        ("/v1/observations/x", "GET, HEAD, PATCH"),
        ("/v1/predictions/x/cancel", "POST"),
        ("/healthz", "GET, HEAD"),
    ],
)
def test_another_method_is_told_which_ones_there_are(refusing: TestClient, path: str, allowed: str) -> None:
    answer = refusing.delete(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/probes/size", "POST"),
        ("GET", "/v1/probes/import", "POST"),
        ("PATCH", "/v1/observations/export", "GET, HEAD"),
    ],
)
def test_a_path_of_its_own_is_not_an_id(refusing: TestClient, method: str, path: str, allowed: str) -> None:
    answer = refusing.request(method, path, json={})
    assert (answer.status_code, answer.headers.get("allow")) == (405, allowed)
    assert f"expected {allowed} for the path" in answer.json()["detail"]
