"""Sandboxes that wait for their next program: a start takes as long as ten small programs."""

import atexit
import contextlib
import os
from collections import deque
from collections.abc import Iterator

from workers.processors import usable_processors
from workers.tasks.sandbox.outcome import Limits
from workers.tasks.sandbox.session import Session

MOST_IDLE = 2 * max(8, usable_processors())
"""sandboxes that are kept: two for each completion that is verified side by side, some 20 MB each"""

_idle: deque[Session] = deque()
"""the one used last is taken first; adding and taking are atomic, so threads need no lock"""


@contextlib.contextmanager
def borrowed(limits: Limits) -> Iterator[Session]:
    """A sandbox for one completion's programs, fresh or used before: every program is a fork that leaves nothing.

    Raises:
        SandboxUnavailable: where none can be started with every protection.
    """
    try:
        session = _idle.pop()
    except IndexError:
        session = Session(limits)
    session.limits = limits
    try:
        yield session
    finally:
        if session.waiting and len(_idle) < MOST_IDLE:
            _idle.append(session)
        else:
            session.kill()


def end_all() -> None:
    """End the sandboxes that wait."""
    while _idle:
        _idle.pop().kill()


atexit.register(end_all)
os.register_at_fork(after_in_child=_idle.clear)  # they are the parent's
