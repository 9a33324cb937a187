"""A bound on the requests that are worked on at a time: the next one is refused at once instead of kept waiting."""

import time
from contextvars import ContextVar

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.kit.errors import Overloaded
from service.kit.problems import problem_response

IN_FLIGHT = 64
"""of one process: what it answers in a second or two; whoever waits for longer had better be told so"""
STUCK_SECONDS = 10.0
"""without any answer, while every place is taken, after which this process is not ready for more; a fit that a
question waits for takes about a second"""
FREE = ("/healthz", "/readyz", "/static/", "/docs")
"""the paths that are always answered: they need no connection"""


class Places:
    """The requests that are worked on, of `most` at a time."""

    def __init__(self, most: int = IN_FLIGHT) -> None:
        self.most = most
        self.taken: set[Place] = set()
        self.moved = time.monotonic()
        """when a place was last given up, or taken with others free"""

    @property
    def are_taken(self) -> bool:
        """True if the next request has none."""
        return len(self.taken) >= self.most

    @property
    def are_stuck(self) -> bool:
        """True if all have been taken for long, and none was given up."""
        return self.are_taken and time.monotonic() - self.moved > STUCK_SECONDS


class InFlight:
    """Answer 503 while every place is taken.

    A request gives its place up when its answer begins, or when it begins to wait for something (`give_up_place`): a
    slow reader, an event stream and `Prefer: wait` keep nobody out.
    """

    def __init__(self, app: ASGIApp, places: Places) -> None:
        self.app, self.places = app, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(FREE):
            await self.app(scope, receive, send)
            return
        if self.places.are_taken:
            busy = Overloaded(headers={"Retry-After": "1"})
            await problem_response(Request(scope), busy)(scope, receive, send)
            return
        place = Place(self.places)
        token = _place.set(place)

        async def watched(message: Message) -> None:
            place.give_up()
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            place.give_up()
            _place.reset(token)


class Place:
    """One request's share of the bound."""

    def __init__(self, places: Places) -> None:
        self._places = places
        places.taken.add(self)
        places.moved = time.monotonic()

    def give_up(self) -> None:
        """Let another request in; harmless twice."""
        if self in self._places.taken:
            self._places.taken.remove(self)
            self._places.moved = time.monotonic()


_place: ContextVar[Place | None] = ContextVar("place", default=None)


def give_up_place() -> None:
    """Let another request in while this one waits for something that takes no thread."""
    place = _place.get()
    if place is not None:
        place.give_up()
