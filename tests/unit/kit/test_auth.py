import base64
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.kit.auth import presented_key
from service.settings import Settings

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def guarded(tmp_path: Path, migrated: Path) -> TestClient:
    settings = Settings(data_dir=tmp_path, api_key=KEY, log_level="error")
    shutil.copy(migrated, tmp_path / "gapcast.db")
    return TestClient(create_app(settings))


@pytest.mark.parametrize(
    "path", ["/v1/predictions", "/v1/models", "/v1/fits/current", "/", "/web/chart.json", "/openapi.json"]
)
def test_without_the_key_nothing_is_told(guarded: TestClient, path: str) -> None:
    with guarded:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic !"}):
            answer = guarded.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["code"] == "unauthorized"
            assert "Basic" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("header", "got"),
    [
        (None, "got no such header"),
        ("Bearer", "got a header without a key"),
        ("Token hunter2-hunter2", "got a header without a key"),
        ("Bearer hunter2-hunter2", "got another key"),
        (f"Basic {base64.b64encode(b'me:hunter2-hunter2').decode()}", "got another key"),
        (f"Bearer {KEY}x", "got another key"),
    ],
)
def test_the_refusal_says_what_is_wrong_and_shows_no_key(guarded: TestClient, header: str | None, got: str) -> None:
    with guarded:
        answer = guarded.get("/v1/models", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    problem = answer.json()
    assert problem["detail"].startswith(f"Authorization: expected the API key of this server, {got}. ")
    assert "GAPCAST_API_KEY" in problem["detail"]
    assert problem["param"] == "Authorization"
    for secret in (KEY, "hunter2", *([header.split()[-1]] if header and " " in header else [])):
        assert secret not in answer.text


def test_with_the_key_it_is(guarded: TestClient) -> None:
    basic = base64.b64encode(f"me:{KEY}".encode()).decode()
    with guarded:
        for header in (f"Bearer {KEY}", f"Basic {basic}"):
            assert guarded.get("/v1/predictions", headers={"Authorization": header}).status_code == 200


def test_health_is_open(guarded: TestClient) -> None:
    with guarded:
        assert guarded.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "localhost:8480@evil",
        "localhost.evil",
        "127.0.0.1:80:80",
        "[::1",
        "[::1]evil",
        "localhost:",
        "",
    ],
)
def test_another_name_for_the_loopback_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/v1/models", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8321", "[::1]:8321", "127.0.0.2", "LOCALHOST"])
def test_every_name_of_the_loopback_is_served(client: TestClient, host: str) -> None:
    assert client.get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Token x", "Basic Og==", "Basic %%%"])
def test_what_is_no_key(header: str) -> None:
    assert presented_key(header) is None
