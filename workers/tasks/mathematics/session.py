"""A process that compares formulas: it stays between completions, and is killed when one takes too long."""

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from gapcast.contract.problems import MathVerifier
from gapcast.launching import module_command, safe_environment

MODULE = "workers.tasks.mathematics"
START_SECONDS = 120.0
"""to import the library, which takes one to two seconds on an idle machine"""
WALL_FACTOR, WALL_SECONDS = 10.0, 30.0
"""wall time behind the limit of processor time: an answer is late only where the machine does nothing at all"""
MOST = 16
"""processes at a time, some 80 MB each"""
MOST_ANSWER = 1 << 20
"""bytes of one answer"""

_places = threading.BoundedSemaphore(MOST)
_idle: deque["Session"] = deque()
"""the one used last is taken first; adding and taking are atomic, so threads need no lock"""


class Ended(Exception):
    """The process ended before it answered; the text says why."""


class Session:
    """One process; a thread asks it one thing at a time."""

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "HOME") if name in os.environ}
        self._process = subprocess.Popen(
            module_command(MODULE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=safe_environment(environment),
        )
        self._received = b""
        if self._hear(time.monotonic() + START_SECONDS) != {"ready": True}:
            raise Ended("its process did not start")

    @property
    def alive(self) -> bool:
        """True if it can be asked."""
        return self._process.poll() is None

    def ask(self, gold: str, completion: str, spec: MathVerifier, *, whole: bool) -> dict[str, Any]:
        """Compare a completion with the expected answer (`compare.compare`).

        Raises:
            Ended: it took more than its processor time or memory; the process is gone.
        """
        message = {
            **{"gold": gold, "completion": completion, "whole": whole},
            **{"digits": spec.digits, "seconds": spec.seconds},
        }
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._ended(spec.seconds) from None
        answer = self._hear(time.monotonic() + WALL_FACTOR * spec.seconds + WALL_SECONDS)
        if answer is None:
            raise self._ended(spec.seconds)
        return answer

    def kill(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _hear(self, deadline: float) -> dict[str, Any] | None:
        """Return the next answer; None where none came."""
        assert self._process.stdout is not None  # noqa: S101
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0 or len(self._received) > MOST_ANSWER or not select.select([descriptor], [], [], left)[0]:
                return None
            chunk = os.read(descriptor, 65536)
            if not chunk:
                return None
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self, seconds: float) -> Ended:
        self.kill()
        if self._process.returncode == -signal.SIGPROF:
            return Ended(f"it took more than {seconds:g} s of processor time")
        return Ended("it took too long, or more memory than it may")


@contextlib.contextmanager
def borrowed() -> Iterator[Session]:
    """A process for one completion, fresh or used before.

    Raises:
        Ended: none can be started.
    """
    with _places:
        try:
            session = _idle.pop()
        except IndexError:
            session = Session()
        try:
            yield session
        finally:
            if session.alive:
                _idle.append(session)
            else:
                session.kill()


def end_all() -> None:
    """End the processes that wait."""
    while _idle:
        _idle.pop().kill()


atexit.register(end_all)
os.register_at_fork(after_in_child=_idle.clear)  # they are the parent's
