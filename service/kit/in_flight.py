"""A bound on the requests that are worked on at a time: the next one is refused at once instead of kept waiting."""

from contextvars import ContextVar

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.kit.database import MOST_CONNECTIONS
from service.kit.errors import Overloaded
from service.kit.problems import problem_response

IN_FLIGHT = MOST_CONNECTIONS - 8
"""below the connections of one process, so that its own threads (reconciler, refitter) never wait for one either"""
BOUNDED = ("/v1/", "/web/")
"""the paths that need a thread and a connection; health checks and static files are always answered"""


class InFlight:
    """Answer 503 while `most` requests are worked on.

    A request gives its place up when its answer begins, or when it begins to wait for something (`give_up_place`): a
    slow reader, an event stream and `Prefer: wait` keep nobody out.
    """

    def __init__(self, app: ASGIApp, most: int = IN_FLIGHT) -> None:
        self.app, self.most = app, most
        self.places: set[Place] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(BOUNDED):
            await self.app(scope, receive, send)
            return
        if len(self.places) >= self.most:
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

    def __init__(self, places: "set[Place]") -> None:
        self._places = places
        places.add(self)

    def give_up(self) -> None:
        """Let another request in; harmless twice."""
        self._places.discard(self)


_place: ContextVar[Place | None] = ContextVar("place", default=None)


def give_up_place() -> None:
    """Let another request in while this one waits for something that takes no thread."""
    place = _place.get()
    if place is not None:
        place.give_up()
