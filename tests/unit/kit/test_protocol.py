"""Connections that begin a request and never finish it are closed; all others are left alone."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI, Request

from service.kit import protocol
from service.kit.limits import BodyLimit
from service.kit.protocol import Protocol

Address = tuple[str, int]


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """A server that waits half a second for a header, and as long for the next piece of a body."""
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.5)
    app = FastAPI()

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await request.body())

    @app.get("/slow")
    def slow() -> str:
        time.sleep(1.0)
        return "done"

    app.add_middleware(BodyLimit, limit=1 << 20, larger={})
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Protocol, log_level="error", timeout_keep_alive=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(30)


def said(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    connection.settimeout(20)
    answer = b""
    while piece := connection.recv(4096):
        answer += piece
    return answer


POST = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST / HT",
        POST,
        POST + b"Content-Length: 9\r\n\r\n12345",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n1",
    ],
)
def test_who_falls_silent_in_a_request_is_answered_408(address: Address, begun: bytes) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(begun)
        assert said(connection).startswith(b"HTTP/1.1 408 ")


def test_single_bytes_do_not_make_a_header_last_longer(address: Address) -> None:
    def drip(connection: socket.socket) -> None:
        for _ in range(200):
            connection.sendall(b"X")
            time.sleep(0.1)

    with socket.create_connection(address) as connection, pytest.raises(ConnectionError):
        drip(connection)


def test_a_slow_body_that_moves_is_read(address: Address) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(POST + b"Content-Length: 6\r\n\r\n")
        for _ in range(6):
            time.sleep(0.2)
            connection.sendall(b"x")
        assert said(connection).endswith(b"6")


def test_a_slow_answer_and_a_second_request_are_left_alone(address: Address) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.settimeout(20)
        assert b"200 OK" in connection.recv(4096)
        time.sleep(1.0)  # longer than a header may take: between two requests the keep-alive limit holds
        connection.sendall(POST + b"Content-Length: 2\r\n\r\nab")
        assert said(connection).endswith(b"2")


def test_a_second_request_that_is_not_finished_is_closed(address: Address) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        connection.settimeout(20)
        assert b"200 OK" in connection.recv(4096)
        connection.sendall(b"POST / HT")
        assert b"408" in said(connection)


def test_two_lengths_are_refused(address: Address) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        answer = said(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"two_lengths"' in answer
