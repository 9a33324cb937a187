"""When a request is repeated, and that nothing takes effect twice."""

import asyncio
import json
import logging
import threading
import time
from typing import Any

import pytest
import stamina.instrumentation
from typer.testing import CliRunner

from gapcast import AnswerLost, AsyncClient, Client, GapcastError, RateLimited, ServerFault, Unreachable
from gapcast.cli.main import app
from tests.support.scripted import Answer, Scripted, problem, scripted

pytestmark = pytest.mark.slow

MODELS = Answer({"object": "list", "data": [], "has_more": False})
LOST = Answer(lost=True)
BATCH = Answer(
    {"object": "observation_batch", "ids": ["obs_1"], "created": 1, "existing": 0, "pools": ["p"], "warnings": []}
    | {"variance": {"gap": {"given": 1}, "improvement": {"given": 1}}},
    201,
)
AWAY = Answer("<html>bad gateway</html>", 502, media="text/html")


def busy(seconds: float | None, code: str = "overloaded") -> Answer:
    return problem(503, code, headers={} if seconds is None else {"Retry-After": f"{seconds:g}"})


def full(seconds: float) -> Answer:
    return problem(429, "too_many_jobs", headers={"Retry-After": f"{seconds:g}"})


def keys(server: Scripted) -> list[str | None]:
    return [asked.headers.get("Idempotency-Key") for asked in server.asked]


@pytest.mark.parametrize("refusal", [full(1), busy(1), busy(1, "unavailable")])
def test_the_client_waits_as_long_as_the_server_asks(refusal: Answer) -> None:
    with scripted(refusal, MODELS) as server, Client(server.url) as client:
        begun = time.monotonic()
        assert client.models.list().data == []
        assert 1 <= time.monotonic() - begun < 5
    assert len(server.asked) == 2


def test_the_asynchronous_client_waits_too() -> None:
    async def ask(url: str) -> list[Any]:
        async with AsyncClient(url) as client:
            return list((await client.models.list()).data)

    with scripted(full(1), LOST, MODELS) as server:
        begun = time.monotonic()
        assert asyncio.run(ask(server.url)) == []
        assert time.monotonic() - begun >= 1
    assert len(server.asked) == 3


def test_repetitions_are_logged_and_print_nothing(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("gapcast.client"), "handlers", [])  # the command's, from another test
    hooked: list[object] = []
    stamina.instrumentation.set_on_retry_hooks([hooked.append])  # of a program that repeats things of its own
    try:
        caplog.set_level("DEBUG", "gapcast.client")
        with scripted(LOST, full(1), MODELS) as server, Client(server.url) as client:
            client.models.list()
        assert stamina.instrumentation.get_on_retry_hooks() == (hooked.append,)
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)
    assert (hooked, capfd.readouterr()) == ([], ("", ""))
    lost, asked = caplog.records
    assert (lost.levelname, asked.levelname) == ("DEBUG", "INFO")
    assert asked.getMessage().endswith(" Trying again in 1 s.")


def test_the_command_reports_the_waits_that_a_server_asks_for() -> None:
    with scripted(LOST, full(1), MODELS) as server:
        done = CliRunner().invoke(app, ["models", "list", "--url", server.url])
    assert done.exit_code == 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(" Trying again in 1 s.\n")


def test_a_longer_wait_is_left_to_the_caller() -> None:
    with scripted(full(600), MODELS) as server, Client(server.url) as client:
        with pytest.raises(RateLimited) as refused:
            client.models.list()
        assert (refused.value.retry_after, len(server.asked)) == (600, 1)


def test_retries_come_to_an_end() -> None:
    with scripted(full(0)) as server:
        with Client(server.url) as client, pytest.raises(RateLimited):
            client.models.list()
        assert len(server.asked) == 3
        with Client(server.url, retries=0) as client, pytest.raises(RateLimited):
            client.models.list()
        assert len(server.asked) == 4


@pytest.mark.parametrize("first", [LOST, AWAY, busy(None), full(0)])
def test_a_post_is_repeated_under_the_same_key(first: Answer) -> None:
    with scripted(first, BATCH) as server, Client(server.url) as client:
        assert client.observations.create([{"family": "x"}]).ids == ["obs_1"]
        assert client.observations.create([{"family": "x"}], idempotency_key="mine").ids == ["obs_1"]
    first_key, repeated, given = keys(server)
    assert first_key == repeated != given == "mine"
    bodies = {json.dumps(json.loads(asked.body)) for asked in server.asked}
    assert bodies == {'{"observations": [{"family": "x"}]}'}


@pytest.mark.parametrize("first", [LOST, AWAY])
def test_what_has_no_key_is_sent_once_where_it_may_have_taken_effect(first: Answer) -> None:
    with scripted(first, MODELS) as server, Client(server.url) as client:
        for change in (client.probes.cancel, client.training_runs.pause):
            server.answers.insert(0, first)
            with pytest.raises((AnswerLost, ServerFault)):
                change("x_1")
        assert len(server.asked) == 2


def test_what_has_no_key_is_repeated_where_the_server_turned_it_away() -> None:
    with scripted(full(0), problem(409, "conflict")) as server, Client(server.url) as client:
        with pytest.raises(GapcastError, match="Something"):
            client.probes.cancel("probe_1")
        assert len(server.asked) == 2


@pytest.mark.parametrize("answer", [problem(500, "internal_error"), problem(422, "unknown_model"), Answer("hello")])
def test_what_stays_wrong_is_asked_once(answer: Answer) -> None:
    with scripted(answer, MODELS) as server, Client(server.url) as client:
        with pytest.raises(GapcastError):
            client.models.list()
        assert len(server.asked) == 1


def test_a_request_that_was_sent_stays_lost_when_the_server_has_gone() -> None:
    with scripted(LOST) as server:
        server.socket.listen(0)
        closing = threading.Thread(target=lambda: _close_after_one(server))
        closing.start()
        with Client(server.url) as client, pytest.raises(GapcastError) as error:
            client.observations.create([{"family": "x"}])
        closing.join()
    assert isinstance(error.value, AnswerLost)
    assert not isinstance(error.value, Unreachable)


def _close_after_one(server: Scripted) -> None:
    while not server.asked:
        time.sleep(0.001)
    server.shutdown()
    server.server_close()


def event(number: int, kind: str = "probe.progress") -> str:
    data = {"id": str(number), "object": "event", "type": kind, "data": {}, "created_at": "2026-01-01T00:00:00Z"}
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


def stream(*events: str, broken: bool = False) -> Answer:
    """Some events; the connection of a `broken` one ends before all that was promised has come."""
    length = {"Content-Length": "100000"} if broken else {}
    return Answer("".join(events), headers=length, media="text/event-stream")


@pytest.mark.slow
class TestFollowing:
    def test_events_go_on_after_the_last_one_that_came(self) -> None:
        half = event(3)[:30]
        answers = (stream(event(1), event(2), half, broken=True), LOST, AWAY, stream(event(3), event(4)))
        with scripted(*answers) as server, Client(server.url) as client:
            assert [one.id for one in client.probes.events("probe_1")] == ["1", "2", "3", "4"]
        assert [asked.headers.get("Last-Event-ID") for asked in server.asked] == [None, "2", "2", "2"]
        assert {asked.headers["Accept"] for asked in server.asked} == {"text/event-stream"}

    def test_the_asynchronous_client_goes_on_too(self) -> None:
        async def follow(url: str) -> list[str]:
            async with AsyncClient(url) as client:
                return [one.id async for one in client.probes.events("probe_1")]

        with scripted(stream(event(1), broken=True), LOST, stream(event(2))) as server:
            assert asyncio.run(follow(server.url)) == ["1", "2"]

    def test_a_server_may_be_away_for_seconds(self) -> None:
        seen = []
        with scripted(stream(event(1), broken=True)) as first, Client(first.url) as client:
            port = first.server_port
            events = client.probes.events("probe_1")
            seen.append(next(events).id)
            first.shutdown()
            first.server_close()
            again: list[Scripted] = []

            def come_back() -> None:
                time.sleep(2)
                with scripted(stream(event(2)), port=port) as second:
                    again.append(second)
                    while not second.asked:
                        time.sleep(0.01)
                    time.sleep(0.2)

            back = threading.Thread(target=come_back)
            back.start()
            seen += [one.id for one in events]
            back.join()
        assert seen == ["1", "2"]
        assert again[0].asked[0].headers["Last-Event-ID"] == "1"

    def test_a_server_that_stays_away_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gapcast.client.retries.AWAY_SECONDS", 1.0)
        with scripted(stream(event(1), broken=True), AWAY) as server, Client(server.url) as client:
            begun = time.monotonic()
            events = client.probes.events("probe_1")
            assert next(events).id == "1"
            with pytest.raises(ServerFault):
                next(events)
            assert 0.5 < time.monotonic() - begun < 10

    def test_a_refusal_ends_following_at_once(self) -> None:
        with scripted(problem(404, "not_found")) as server, Client(server.url) as client:
            with pytest.raises(GapcastError, match="Something"):
                list(client.probes.events("probe_1"))
            assert len(server.asked) == 1
