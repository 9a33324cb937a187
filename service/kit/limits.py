"""A limit on the size of a request's body, enforced while it streams in."""

from contextlib import suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.kit.errors import BodyTooLarge
from service.kit.problems import problem_response


class BodyLimit:
    """Answer 413 as soon as a body is known to be over `limit` bytes; it is never held in memory."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        error = BodyTooLarge(f"The body is larger than {self.limit} bytes, the most this server takes.")
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.limit:
            await problem_response(request, error)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise error
            return message

        async def unless_refused(message: Message) -> None:
            if seen <= self.limit:
                await send(message)

        # whatever the application makes of the error (FastAPI makes a 400 of it), the answer is ours
        with suppress(BodyTooLarge):
            await self.app(scope, counted, unless_refused)
        if seen > self.limit:
            await problem_response(request, error)(scope, receive, send)
