"""`Prefer: wait=N` (RFC 7240): answering once something has ended, or when the time is over."""

import asyncio
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, TypeVar

from fastapi import Header
from fastapi.concurrency import run_in_threadpool

from service.kit.in_flight import give_up_place

MAX_WAIT = 60
"""seconds; what `Prefer: wait` is cut to"""
POLL = 0.2
"""seconds between two looks at something that somebody waits for"""

Prefer = Annotated[str | None, Header(description="`wait=N` waits up to N seconds (at most 60)")]
Shown = TypeVar("Shown")


def preferred_wait(prefer: str | None) -> float:
    """Seconds of `Prefer: wait=N`, cut to 60; a preference that is no number is ignored."""
    for part in (prefer or "").split(","):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "wait" and re.fullmatch("[0-9]{1,9}", value.strip()):
            return min(int(value.strip()), MAX_WAIT)
    return 0


_stops = threading.Event()


@contextmanager
def heeding_signals() -> Iterator[None]:
    """Let nothing wait any longer once a signal has told this process to stop; the server's own handlers follow."""
    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def heed(number: int, frame: FrameType | None) -> None:
        _stops.set()
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in handlers:
        signal.signal(number, heed)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


async def wait_until(read: Callable[[], Shown], ended: Callable[[Shown], bool], seconds: float) -> Shown:
    """Read until it has ended, the time is over, or this process is told to stop."""
    if seconds:
        give_up_place()
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        shown = await run_in_threadpool(read)
        if ended(shown) or asyncio.get_running_loop().time() >= deadline or _stops.is_set():
            return shown
        await asyncio.sleep(POLL)
