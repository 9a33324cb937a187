"""Every way in which a server can refuse is an exception that says what to do."""

import asyncio
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gapcast import (
    AnswerLost,
    AsyncClient,
    Client,
    Conflict,
    GapcastError,
    InvalidRequest,
    NotFound,
    NotGapcast,
    RateLimited,
    ServerFault,
    Unauthorized,
    Unreachable,
)
from tests.support.product import serving
from tests.support.scripted import Answer, problem, scripted

pytestmark = pytest.mark.slow

KEY = "the-right-key-of-this-server-0123456789"
HTML = Answer("<html>nginx</html>", 404, media="text/html")


def refused(answer: Answer, api_key: str | None = None) -> GapcastError:
    with scripted(answer) as server, Client(server.url, api_key, retries=0) as client:
        with pytest.raises(GapcastError) as caught:
            client.predictions.get("pred_1")
        assert "{" not in str(caught.value)
        return caught.value


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(400, "malformed_json"), InvalidRequest),
        (problem(422, "unknown_model", param="model.name"), InvalidRequest),
        (problem(413, "body_too_large"), InvalidRequest),
        (problem(401, "unauthorized"), Unauthorized),
        (problem(403, "foreign_origin"), Unauthorized),
        (problem(404, "not_found"), NotFound),
        (problem(409, "duplicate_run"), Conflict),
        (problem(429, "too_many_jobs", headers={"Retry-After": "30"}), RateLimited),
        (problem(503, "overloaded", headers={"Retry-After": "1"}), RateLimited),
        (problem(503, "unavailable", headers={"Retry-After": "5"}), ServerFault),
        (problem(500, "internal_error"), ServerFault),
        (Answer("<html>bad gateway</html>", 502, media="text/html"), ServerFault),
        (HTML, NotGapcast),
        (Answer({"detail": "Not Found"}, 404), NotGapcast),
        (Answer("hello", media="text/plain"), NotGapcast),
        (Answer("", 302, {"Location": "https://example.org/login"}, "text/html"), NotGapcast),
        (Answer({"name": "another service"}), NotGapcast),
        (Answer([1, 2]), NotGapcast),
    ],
)
def test_each_refusal_has_its_kind(answer: Answer, kind: type[GapcastError]) -> None:
    error = refused(answer)
    assert type(error) is kind
    assert error.status == answer.status


def test_a_problem_keeps_its_code_field_and_mistakes() -> None:
    row = {"param": "model.name", "message": "unknown", "value": "x"}
    error = refused(problem(422, "unknown_model", "There is no such model.", param="model.name", errors=[row]))
    assert str(error) == "There is no such model."
    assert (error.code, error.param, error.errors, error.retry_after) == ("unknown_model", "model.name", [row], None)
    later = refused(problem(429, "too_many_jobs", headers={"Retry-After": "30"}))
    assert later.retry_after == 30


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (HTML, "HTTP 404 with text/html"),
        (Answer("", 302, {"Location": "https://example.org/login"}, "text/html"), "to https://example.org/login"),
        (Answer({"name": "x"}), "Prediction"),
    ],
)
def test_something_else_at_the_address_is_named(answer: Answer, got: str) -> None:
    message = str(refused(answer))
    assert re.match(r"http://127\.0\.0\.1:\d+: not Gapcast at this address", message)
    assert got in message
    assert "GAPCAST_URL" in message


@pytest.mark.parametrize("body", [{"name": "x"}, [1], {"data": 3, "has_more": False}])
def test_a_list_that_is_none_is_not_gapcast(body: object) -> None:
    with scripted(Answer(body)) as server, Client(server.url) as client, pytest.raises(NotGapcast):
        client.predictions.list()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("locked")
    with serving(folder, {"GAPCAST_WORKER": "off", "GAPCAST_API_KEY": KEY}) as (client, _):
        yield client.url


class TestKey:
    def test_a_missing_key_is_told_from_a_wrong_one(self, locked: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GAPCAST_API_KEY", raising=False)
        with Client(locked) as client, pytest.raises(Unauthorized, match="none was sent") as missing:
            client.models.list()
        assert "Set GAPCAST_API_KEY" in str(missing.value)
        with Client(locked, "another-key") as client, pytest.raises(Unauthorized, match="does not accept") as wrong:
            client.models.list()
        assert "set GAPCAST_API_KEY" in str(wrong.value)
        assert (missing.value.status, wrong.value.status, wrong.value.code) == (401, 401, "unauthorized")
        monkeypatch.setenv("GAPCAST_API_KEY", KEY)
        with Client(locked) as client:
            assert client.models.list().data

    def test_events_and_downloads_say_it_too(self, locked: str, tmp_path: Path) -> None:
        with Client(locked, "another-key") as client:
            with pytest.raises(Unauthorized, match="does not accept"):
                next(iter(client.predictions.events("pred_1")))
            with pytest.raises(Unauthorized, match="does not accept"):
                client.observations.export_file(tmp_path / "x.csv")
        assert list(tmp_path.iterdir()) == []

    def test_the_asynchronous_client_says_the_same(self, locked: str) -> None:
        async def ask() -> None:
            async with AsyncClient(locked, "another-key") as client:
                await client.models.list()

        with pytest.raises(Unauthorized, match="does not accept"):
            asyncio.run(ask())


def test_an_answer_that_never_comes_is_lost() -> None:
    with scripted(Answer(lost=True)) as server, Client(server.url, retries=0) as client:
        with pytest.raises(AnswerLost) as lost:
            client.models.list()
        assert (lost.value.status, lost.value.code, len(server.asked)) == (0, "answer_lost", 1)


def test_nobody_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with Client(url) as client, pytest.raises(Unreachable, match=f"^{url}: no answer .*gapcast serve"):
        client.models.list()
