"""Events as a JSON page, or as server-sent events that resume after `Last-Event-ID`."""

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from fastapi import Depends, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from gapcast.contract.events import EventOut, EventPage
from service.dependencies import State, Watching
from service.errors import TooManyStreams
from service.events import repository
from service.events.presenting import event_out
from service.kit.database import Database
from service.kit.errors import InvalidRequest, NotFound
from service.kit.problems import Responses, problems

KEEPALIVE = 15.0
"""seconds of silence after which the stream looks by itself, and sends a comment so that proxies keep the connection"""
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


OF_EVENTS: Responses = problems(NotFound, InvalidRequest, TooManyStreams) | {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "A page, or a stream."}
}
"""the `responses=` of an endpoint that answers with a resource's events"""


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


def event_stream(
    database: Database, watching: Watching, look: Callable[[], Subject], first: Subject, after: str | None
) -> EventSourceResponse:
    """Stream events until the subject has ended and all of them were sent.

    Raises:
        TooManyStreams: the tenant has as many streams as it may.
    """
    start = _number(after, "Last-Event-ID")
    watching.require_place(first.tenant)

    def read(last: int) -> tuple[list[EventOut], Subject, bool]:
        subject = look()  # first: what ended before this look has written its last event before the next
        with database.read() as session:
            rows = repository.after(session, subject.tenant, subject.ids, last, BATCH)
        return [event_out(row) for row in rows], subject, len(rows) == BATCH

    async def stream() -> AsyncIterator[bytes]:
        last = start
        with watching.watch(first.tenant, first.ids) as watcher:
            while True:
                rows, subject, more = await run_in_threadpool(read, last)
                watcher.ids = subject.ids
                for row in rows:
                    yield format_sse_event(data_str=json.dumps(row.model_dump()), event=row.type, id=row.id)
                    last = int(row.id)
                if more:
                    continue
                if subject.ended:
                    return
                if not await watcher.wait(KEEPALIVE):
                    yield KEEPALIVE_COMMENT

    return EventSourceResponse(stream(), headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})


async def answer_events(state: State, look: Callable[[], Subject], follow: Following) -> Response | EventPage:
    """Answer with a page of one subject's events, or with a stream of them where the client accepts that."""
    subject = await run_in_threadpool(look)
    if wants_stream(follow.accept):
        after = follow.last_event_id or follow.after
        return event_stream(state.database, state.watching, look, subject, after)
    return await run_in_threadpool(event_page, state.database, subject, follow.after, follow.limit)
