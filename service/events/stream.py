"""Events as a JSON page, or as server-sent events that resume after `Last-Event-ID`."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from fastapi import Depends, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from gapcast.contract.events import EventOut, EventPage
from service.events import repository
from service.events.presenting import event_out
from service.kit.database import Database
from service.kit.errors import InvalidRequest

POLL = 0.25
"""seconds between two looks for new events: a person sees progress as it comes, the database hardly notices"""
KEEPALIVE = 15.0
"""seconds of silence after which a comment is sent, so that proxies keep the connection"""
BATCH = 500


class Subject(NamedTuple):
    """Whose events are read, and whether no more will come."""

    tenant: str
    ids: list[str] | None
    """null: everything of the tenant's"""
    ended: bool


@dataclass(frozen=True)
class Following:
    """How a client reads the events of one resource: as a page or a stream, from where on, and how many at a time."""

    accept: Annotated[str, Header()] = "application/json"
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None
    after: str | None = None
    limit: int = 100


Follow = Annotated[Following, Depends()]


def wants_stream(accept: str) -> bool:
    """Whether the client asks for server-sent events."""
    return any(part.strip().partition(";")[0] == "text/event-stream" for part in accept.split(","))


def _number(event_id: str | None, param: str) -> int:
    if event_id is None or event_id == "":
        return 0
    if re.fullmatch("[0-9]{1,18}", event_id) is None:
        raise InvalidRequest(f"{param}: expected the id of an event, got {event_id[:80]!r}.", param=param)
    return int(event_id)


def event_page(
    database: Database, subject: Subject, after: str | None, limit: int, kind: str | None = None
) -> EventPage:
    """Read one page."""
    if not 1 <= limit <= BATCH:
        raise InvalidRequest(f"limit: expected a whole number from 1 to {BATCH}, got {limit}.", param="limit")
    with database.read() as session:
        rows = repository.after(session, subject.tenant, subject.ids, _number(after, "after"), limit + 1, kind)
    data = [event_out(row) for row in rows[:limit]]
    return EventPage(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=len(rows) > limit,
    )


def event_stream(database: Database, look: Callable[[], Subject], after: str | None) -> EventSourceResponse:
    """Stream events until the subject has ended and all of them were sent."""
    start = _number(after, "Last-Event-ID")

    def read(last: int) -> tuple[list[EventOut], bool]:
        subject = look()  # first: what ended before this look has written its last event before the next
        with database.read() as session:
            rows = repository.after(session, subject.tenant, subject.ids, last, BATCH)
        return [event_out(row) for row in rows], subject.ended and len(rows) < BATCH

    async def stream() -> AsyncIterator[bytes]:
        last, silent = start, 0.0
        while True:
            rows, done = await run_in_threadpool(read, last)
            for row in rows:
                yield format_sse_event(data_str=json.dumps(row.model_dump()), event=row.type, id=row.id)
                last, silent = int(row.id), 0.0
            if done:
                return
            if silent >= KEEPALIVE:
                yield KEEPALIVE_COMMENT
                silent = 0.0
            await asyncio.sleep(POLL)
            silent += POLL

    return EventSourceResponse(stream(), headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})


async def answer_events(database: Database, look: Callable[[], Subject], follow: Following) -> Response | EventPage:
    """A page of one subject's events, or a stream of them where the client accepts that."""
    subject = await run_in_threadpool(look)
    if wants_stream(follow.accept):
        return event_stream(database, look, follow.last_event_id or follow.after)
    return await run_in_threadpool(event_page, database, subject, follow.after, follow.limit)
