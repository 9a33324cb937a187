"""HTTP as uvicorn speaks it, with an end to connections that begin a request and never finish it."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 15.0
"""from a connection, or a request's first byte, to the end of its header"""
BODY_SECONDS = 60.0
"""between two pieces of a body"""
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Protocol(H11Protocol):
    """A connection that is closed with 408 when its client falls silent in the middle of a request."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._in_header = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._expect(HEADER_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Expect what is missing of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Expect the rest of a next request that has begun; else uvicorn's keep-alive limit holds."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        state = self.conn.their_state
        in_header = state is h11.IDLE and bool(self.conn.trailing_data[0])
        if state is h11.SEND_BODY:
            self._expect(BODY_SECONDS)
        elif not in_header:
            self._forget()
        elif not self._in_header or self._timer is None:  # a header's bytes give no more time
            self._expect(HEADER_SECONDS)
        self._in_header = in_header

    def _expect(self, seconds: float) -> None:
        self._forget()
        self._timer = self.loop.call_later(seconds, self._time_out)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        if self.flow.read_paused:  # it is we who do not read
            self._expect(BODY_SECONDS)
            return
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(TIMED_OUT)
        self.transport.close()
