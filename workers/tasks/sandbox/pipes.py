"""The ends of a sandboxed process's pipes that the worker holds."""

import json
import os
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

from workers.tasks.sandbox.outcome import Ended, Status
from workers.tasks.sandbox.plain import read_json

CHUNK = 65536
"""bytes read at once: a pipe's usual buffer"""
STDERR_BYTES = 8192
"""of standard error that are kept: a traceback of twenty frames"""
MESSAGE_BYTES = 4 << 20
"""of one message, where no longer result is expected"""


class Channel:
    """A conversation with a process in the sandbox, one JSON line each way; its end is known only by the kernel."""

    def __init__(self, sock: socket.socket, deadline: float, ended: Callable[[float], Status]) -> None:
        self._socket, self._deadline, self._ended = sock, deadline, ended
        self._received = b""
        self.most_bytes = MESSAGE_BYTES

    def close(self) -> None:
        """Let the process know that nothing more is asked."""
        self._socket.close()

    def ask(self, message: Any) -> Any:  # noqa: ANN401
        """Send a message and wait for the answer.

        Raises:
            Ended: when none came, or one that is no JSON.
        """
        self.tell(json.dumps(message).encode())
        return self.hear()

    def hear(self) -> Any:  # noqa: ANN401
        """The next message, of which nothing is certain but that it is JSON."""
        try:
            return read_json(self.hear_line())
        except (ValueError, RecursionError):
            raise Ended(Status.error) from None

    def tell(self, line: bytes) -> None:
        """Send a message that is JSON already."""
        try:
            self._wait()
            self._socket.sendall(line + b"\n")
        except OSError:  # it ended, or its time is over
            raise Ended(self._ended(self._deadline)) from None

    def hear_line(self) -> bytes:
        """The next message as it came, to be handed on."""
        parts, size = [self._received], len(self._received)
        while b"\n" not in parts[-1]:
            try:
                self._wait()
                chunk = self._socket.recv(CHUNK)
            except OSError:
                chunk = b""
            if not chunk:
                raise Ended(self._ended(self._deadline))
            parts.append(chunk)
            size += len(chunk)
            if size > self.most_bytes:
                raise Ended(Status.output_limit)
        line, _, self._received = b"".join(parts).partition(b"\n")
        return line

    def _wait(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


class Output:
    """Feeds a program its input and collects what it writes."""

    def __init__(self, pipes: list[int], most: int) -> None:
        self._stdin, self._stdout, self._stderr = pipes
        self._open = set(pipes)
        self._left, self._most = memoryview(b""), most
        self._written = {self._stdout: 0, self._stderr: 0}
        self._parts: list[bytes] = []
        self._tail = b""

    def close(self) -> None:
        """Close what is still open."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()

    @property
    def stdout(self) -> bytes:
        """All of standard output."""
        return b"".join(self._parts)

    @property
    def stderr(self) -> str:
        """The end of standard error."""
        return self._tail.decode(errors="replace")

    def collect(self, stdin: bytes, deadline: float) -> Status | None:
        """Write the input and read until the program has closed its ends (None), or a limit is reached."""
        self._left = memoryview(stdin)
        os.set_blocking(self._stdin, False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            while self._open - {self._stdin}:
                left = deadline - time.monotonic()
                if left <= 0:
                    return Status.timeout
                for key, _ in selector.select(left):
                    if not (self._feed() if key.fd == self._stdin else self._take(key.fd)):
                        selector.unregister(key.fd)
                        os.close(key.fd)
                        self._open.remove(key.fd)
                if max(self._written.values()) > self._most:
                    return Status.output_limit
        return None

    def _feed(self) -> bool:
        try:
            self._left = self._left[os.write(self._stdin, self._left[:CHUNK]) :] if self._left else self._left
        except BlockingIOError:
            return True
        except OSError:  # the program reads no more
            return False
        return bool(self._left)

    def _take(self, descriptor: int) -> bool:
        chunk = os.read(descriptor, CHUNK)
        self._written[descriptor] += len(chunk)
        if descriptor == self._stdout:
            self._parts.append(chunk)
        else:
            self._tail = (self._tail + chunk)[-STDERR_BYTES:]
        return bool(chunk)
