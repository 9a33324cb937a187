"""The threads that requests are worked on in: a few that read, and a few that write.

Python runs one thread at a time. More of them make no answer sooner, and the event loop waits for its turn among all of
them before it accepts, refuses, or says that it lives. What writes can have to wait, for a lock of the database or for
a fit that is due. So it has threads of its own, and no read waits behind it. A long computation that waits for nothing
belongs with the reads, which are worked on in the order of their arrival: beside them it would only have its share.
"""

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from anyio.to_thread import current_default_thread_limiter, run_sync

READING, WRITING = 8, 8
"""at a time, of one process: enough to wait for a database over a network while one of them computes"""

Made = TypeVar("Made")
Given = ParamSpec("Given")

_writing: RunVar[CapacityLimiter] = RunVar("writing")


def bound_reading() -> None:
    """Let no more than READING threads of this event loop answer what only reads: anyio's default is 40."""
    current_default_thread_limiter().total_tokens = READING


async def in_writing_thread(work: Callable[[], Made]) -> Made:
    """Do what stores something in one of the threads for that."""
    try:
        limiter = _writing.get()
    except LookupError:
        limiter = CapacityLimiter(WRITING)
        _writing.set(limiter)
    return await run_sync(work, limiter=limiter)


def writes(endpoint: Callable[Given, Made]) -> Callable[Given, Coroutine[Any, Any, Made]]:
    """Run an endpoint that stores something in one of the threads for that."""

    @wraps(endpoint)
    async def waiting(*args: Given.args, **options: Given.kwargs) -> Made:
        return await in_writing_thread(partial(endpoint, *args, **options))

    return waiting


def reads(endpoint: Callable[Given, Made]) -> Callable[Given, Coroutine[Any, Any, Made]]:
    """Run a list's endpoint in one thread: FastAPI would wait for a second one to look at the answer's type."""

    @wraps(endpoint)
    async def waiting(*args: Given.args, **options: Given.kwargs) -> Made:
        return await run_sync(partial(endpoint, *args, **options))

    return waiting
