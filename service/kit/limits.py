"""What is refused before a request reaches the application: large bodies, foreign names and foreign pages."""

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.kit.auth import is_local_name
from service.kit.errors import BodyTooLarge, ForeignOrigin, MisdirectedRequest, TwoLengths
from service.kit.problems import problem_response


class BodyLimit:
    """Answer 413 as soon as a body is known to be over `limit` bytes; it is never held in memory.

    A body that comes with two lengths is refused with 400.

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
        if "transfer-encoding" in request.headers and "content-length" in request.headers:
            # of two lengths a proxy before us may believe the other one (RFC 9112, 6.3)
            await problem_response(request, TwoLengths(headers={"Connection": "close"}))(scope, receive, send)
            return
        limit = self.larger.get(scope["path"], self.limit)
        error = BodyTooLarge(f"The body has more than {limit} bytes, the most that this endpoint accepts.")
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


SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
DEFAULT_PORTS = {"http": 80, "https": 443}
WAY_OUT = "Call the API from a program, or open Gapcast's page under the address of the API."


class OwnPagesOnly:
    """Answer 403 to a foreign page that changes something: a browser sends its form, with the key that it remembers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        error = _foreign(request.headers)
        if error is None:
            await self.app(scope, receive, send)
        else:
            await problem_response(request, error)(scope, receive, send)


def _foreign(headers: Headers) -> ForeignOrigin | None:
    """Return what is foreign about a request; a program sends neither header.

    A browser leaves out Sec-Fetch-Site where the server's address is neither HTTPS nor the loopback.
    """
    site, origin, host = headers.get("sec-fetch-site"), headers.get("origin"), headers.get("host", "")
    if site is not None:
        if site in {"same-origin", "none"}:  # none: the user's own doing, such as an address typed in
            return None
        detail = f"Sec-Fetch-Site: expected same-origin, got {site[:80]!r}. {WAY_OUT}"
        return ForeignOrigin(detail, param="Sec-Fetch-Site", value=site[:80])
    if origin is None or _is_of(origin, host):
        return None
    detail = f"Origin: expected the host {host[:80]!r}, got {origin[:80]!r}. {WAY_OUT}"
    return ForeignOrigin(f"{detail} A reverse proxy must pass the Host header on.", param="Origin", value=origin[:80])


def _is_of(origin: str, host: str) -> bool:
    """True if the origin's host and port are those of the Host header; a port that is left out is the scheme's."""
    try:
        page, server = urlsplit(origin), urlsplit(f"//{host}")
        default = DEFAULT_PORTS.get(page.scheme)
        return page.hostname is not None and (
            (page.hostname, page.port or default) == (server.hostname, server.port or default)
        )
    except ValueError:  # no port, or no IPv6 address
        return False


class HeadAsGet:
    """Answer HEAD as GET without the body, wherever GET is answered; of events as a page, as a stream has no end."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        headers = [(name, value) for name, value in scope["headers"] if name != b"accept"]
        await self.app({**scope, "method": "GET", "headers": headers}, receive, without_body)
