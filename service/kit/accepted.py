"""Answering a POST that starts something: 202 and where it is, or 200 where it has ended in time."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from service.kit.idempotency import Idempotency, body_hash
from service.kit.threads import in_writing_thread
from service.kit.waiting import preferred_wait, wait_until


class Ending(Protocol):
    """An answer that knows whether it will ever change."""

    @property
    def ended(self) -> bool:
        """True if it never changes again."""
        ...


Shown = TypeVar("Shown", bound=Ending)
Subject = TypeVar("Subject")


def idempotency_of(path: str, key: str | None, body: BaseModel | Sequence[BaseModel]) -> Idempotency | None:
    """Return what makes a POST the same as an earlier one; None without an `Idempotency-Key`."""
    if key is None:
        return None
    if isinstance(body, BaseModel):
        return Idempotency(key, body_hash(path, body.model_dump_json()))
    return Idempotency(key, body_hash(path, f"[{','.join(one.model_dump_json() for one in body)}]"))


async def when_ended(
    read: Callable[[], Shown], ended: Callable[[], bool], prefer: str | None, response: Response | None = None
) -> Shown:
    """Read something, with `Prefer: wait=N` once it has ended or the time is over; meanwhile only `ended` is asked."""
    seconds = preferred_wait(prefer)
    if seconds:
        await wait_until(ended, bool, seconds)
        if response is not None:
            response.headers["Preference-Applied"] = f"wait={seconds:.0f}"
    return await run_in_threadpool(read)


async def accepted(
    response: Response,
    path: str | None,
    create: Callable[[], Subject],
    read: Callable[[Subject], Shown],
    ended: Callable[[Subject], bool],
    prefer: str | None = None,
) -> Shown:
    """Create something in a thread, wait for it as the client prefers, and say where it is.

    Args:
        response: gets its headers, and the status 200 where the thing has ended.
        path: of the collection, such as `/v1/probes`; None: what is made has no address of its own.
        create: stores it and returns its id, or the ids of several things.
        read: shows it.
        ended: tells whether it has ended, cheaply: it is asked several times a second.
        prefer: the header `Prefer`.
    """
    waits = preferred_wait(prefer) > 0

    def make() -> tuple[Subject, Shown | None]:
        subject = create()
        return subject, None if waits else read(subject)  # in the same thread: the next one would be waited for

    subject, shown = await in_writing_thread(make)
    if shown is None:
        shown = await when_ended(lambda: read(subject), lambda: ended(subject), prefer, response)
    if path is not None:
        response.headers["Location"] = f"{path}/{subject}"
    if shown.ended:
        response.status_code = 200
    else:
        response.headers["Retry-After"] = "1"
    return shown
