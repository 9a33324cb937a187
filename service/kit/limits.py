"""What is refused before a request reaches the application: bodies over a size, and foreign names for the loopback."""

from collections.abc import Mapping
from contextlib import suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.kit.auth import is_local_name
from service.kit.errors import BodyTooLarge, MisdirectedRequest
from service.kit.problems import problem_response


class BodyLimit:
    """Answer 413 as soon as a body is known to be over `limit` bytes; it is never held in memory.

    `larger` gives paths a limit of their own.
    """

    def __init__(self, app: ASGIApp, limit: int, larger: Mapping[str, int]) -> None:
        self.app, self.limit, self.larger = app, limit, larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        limit = self.larger.get(scope["path"], self.limit)
        error = BodyTooLarge(f"The body is larger than {limit} bytes, the most this server takes here.")
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await problem_response(request, error)(scope, receive, send)
            return
        seen, started = 0, False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise error
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal started
            if started or seen <= limit:
                started = True
                await send(message)

        # whatever the application makes of the error (FastAPI makes a 400 of it), the answer is ours
        with suppress(BodyTooLarge):
            await self.app(scope, counted, unless_refused)
        if seen > limit and not started:
            await problem_response(request, error)(scope, receive, send)


class LocalNamesOnly:
    """Answer 421 to another Host than the loopback: a page elsewhere may have pointed its own name at 127.0.0.1."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or is_local_name(Request(scope).headers.get("host", "")):
            await self.app(scope, receive, send)
        else:
            await problem_response(Request(scope), MisdirectedRequest())(scope, receive, send)
