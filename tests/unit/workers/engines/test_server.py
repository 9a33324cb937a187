"""The server engine beside its contract (tests/vllm): a server that fails, and one that computes no numbers."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from gapcast.contract.measured import ModelOptions
from workers.engines import ModelSource, Request, Sampling
from workers.engines import http as module
from workers.engines.server import ServerEngine
from workers.failures import JobError

ONE = Sampling(temperature=1.0, top_p=1.0, max_tokens=1)

Answer = tuple[int, Any, dict[str, str]]


class Fake:
    """What vLLM's server answers, with a log-probability of one's choice; `before` may answer in its place."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.logprob: float | None = -1.0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.before: Callable[[str, dict[str, Any]], Answer | None] = lambda path, body: None

    def connect(self) -> ServerEngine:
        return ServerEngine.connect(ModelSource("m", url=self.url, api_key="sk-secret"), ModelOptions())

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        self.asked.append((path, body))
        if (early := self.before(path, body)) is not None:
            return early
        if path == "/v1/models":
            return 200, {"data": [{"id": "m", "max_model_len": 64}]}, {}
        if path == "/version":
            return 200, {"version": "1"}, {}
        if path == "/tokenize":
            if "messages" in body:
                return 400, {"error": {"message": "provide a chat template"}}, {}
            return 200, {"tokens": [5]}, {}
        choice: dict[str, Any] = {"text": "5", "token_ids": [5], "finish_reason": "length"}
        if body.get("logprobs") is not None:
            choice["logprobs"] = {"token_logprobs": [self.logprob]}
        choice["prompt_logprobs"] = [None] + [{str(token): {"logprob": self.logprob}} for token in body["prompt"][1:]]
        return 200, {"choices": [choice | {"index": index} for index in range(body.get("n", 1))]}, {}


@pytest.fixture
def fake() -> Iterator[Fake]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: dict[str, Any]) -> None:
            status, content, headers = made.answer(self.path, body)
            data = json.dumps(content).encode()
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(data))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    made = Fake(f"http://127.0.0.1:{server.server_port}/v1")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def engine(fake: Fake) -> Iterator[ServerEngine]:
    engine = fake.connect()
    yield engine
    engine.close()


class TestNumbers:
    @pytest.mark.parametrize("wrong", [float("nan"), None, -9999.0, float("-inf")])
    def test_no_sample_and_no_score_of_a_model_that_computes_none(
        self, fake: Fake, engine: ServerEngine, wrong: float | None
    ) -> None:
        fake.logprob = wrong
        requests = [Request((5, 6), 2, seed) for seed in (0, 1)]
        for ask in (
            lambda: engine.generate(requests, ONE),
            lambda: engine.generate(requests, ONE, logprobs=True),
            lambda: engine.score([((5,), (6,))]),
            lambda: engine.score([((5,), (6, 7))]),
        ):
            with pytest.raises(JobError, match="not numbers") as failure:
                ask()
            assert failure.value.code == "model_not_loadable"

    def test_what_was_not_asked_for_is_not_given(self, engine: ServerEngine) -> None:
        requests = [Request((5, 6), 2, seed) for seed in (0, 1)]
        assert {sample.logprobs for group in engine.generate(requests, ONE) for sample in group} == {()}
        assert engine.generate([], ONE) == []


class TestBusy:
    @pytest.fixture
    def waits(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Seconds slept between attempts."""
        slept: list[float] = []
        monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
        return slept

    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_it_is_asked_again(self, fake: Fake, engine: ServerEngine, waits: list[float], status: int) -> None:
        left = [1, 1]
        fake.before = lambda path, body: (status, {}, {"Retry-After": "7"}) if left and left.pop() else None
        assert engine.encode("1") == (5,)
        assert waits == [7, 7]

    def test_not_for_ever_nor_as_long_as_it_likes(self, fake: Fake, engine: ServerEngine, waits: list[float]) -> None:
        fake.before = lambda path, body: (503, {"error": {"message": "no room"}}, {"Retry-After": "86400"})
        fake.asked.clear()
        with pytest.raises(JobError, match="503: no room") as failure:
            engine.encode("1")
        assert (failure.value.code, failure.value.category) == ("server_refused", "server")
        assert len(fake.asked) == module.ATTEMPTS
        assert waits == [module.MAX_WAIT] * (module.ATTEMPTS - 1)

    @pytest.mark.parametrize("after", ["Fri, 01 Jan 2100 00:00:00 GMT", "-1", "nan"])
    def test_what_is_no_number_of_seconds_is_not_heeded(
        self, fake: Fake, engine: ServerEngine, waits: list[float], after: str
    ) -> None:
        left = [1]
        fake.before = lambda path, body: (429, {}, {"Retry-After": after}) if left and left.pop() else None
        assert engine.encode("1") == (5,)
        assert len(waits) == 1
        assert 0 <= waits[0] < 10

    def test_another_refusal_is_told_at_once(self, fake: Fake, engine: ServerEngine) -> None:
        fake.before = lambda path, body: (500, {"error": {"message": "broken"}}, {})
        fake.asked.clear()
        with pytest.raises(JobError, match="500: broken"):
            engine.encode("1")
        assert len(fake.asked) == 1


def test_closing_waits_for_no_answer(fake: Fake) -> None:
    engine, never = fake.connect(), threading.Event()

    def before(path: str, body: dict[str, Any]) -> Answer | None:
        if body.get("seed") == slow["seed"]:
            never.wait(240)
            return None
        return 500, {"error": {"message": "broken"}}, {}

    from workers.engines.vllm_ways import base_seed

    slow = {"seed": base_seed(0)}
    fake.before = before
    started = time.monotonic()
    with pytest.raises(JobError, match="500: broken"):
        engine.generate([Request((5,), 1, 0), Request((5,), 1, 1)], ONE)
    engine.close()
    assert time.monotonic() - started < 120
    never.set()


def test_what_cannot_be_sent_is_not_told(fake: Fake, engine: ServerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def request(*_: object, **__: object) -> None:
        raise httpx2.LocalProtocolError("Illegal header value b'Bearer sk-secret '")

    monkeypatch.setattr(engine._server._http, "request", request)
    with pytest.raises(JobError) as failure:
        engine.encode("1")
    assert failure.value.code == "server_unreachable"
    assert "sk-secret" not in failure.value.message
    assert failure.value.__cause__ is None
