"""A real HTTP server that answers what a test tells it to, and keeps what it was asked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer; `body` of text is sent as it is, anything else as JSON; `lost` hangs up in place of answering."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media: str = "application/json"
    lost: bool = False


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Message
    body: bytes


class Scripted(ThreadingHTTPServer):
    """Gives its answers one after the other, and the last one for ever."""

    daemon_threads = True

    def __init__(self, answers: tuple[Answer, ...], port: int) -> None:
        self.answers, self.asked = list(answers), list[Asked]()
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(Asked(self.command, self.path, self.headers, body))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.close_connection = True
        if answer.lost:
            return
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        sent = text.encode()
        self.send_response(answer.status)
        length = {} if "Content-Length" in answer.headers else {"Content-Length": str(len(sent))}
        for name, value in {"Content-Type": answer.media, **length, "Connection": "close", **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PATCH = _answer

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def scripted(*answers: Answer, port: int = 0) -> Iterator[Scripted]:
    """Serve these answers."""
    server = Scripted(answers, port)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def problem(status: int, code: str, detail: str = "Something is wrong.", **more: Any) -> Answer:
    """An error as Gapcast sends it; `headers` are the answer's."""
    headers = more.pop("headers", {})
    body = {"type": "about:blank", "title": "x", "status": status, "detail": detail, "code": code, **more}
    return Answer(body, status, headers, "application/problem+json")
