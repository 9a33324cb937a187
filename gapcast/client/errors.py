"""The exceptions of the client: one root, and a class for each kind of thing that a program can do about them."""

from typing import Any, NotRequired, TypedDict

import httpx2
from pydantic import ValidationError

from gapcast.client.requests import DEFAULT_URL

NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol)
PROBLEM = "application/problem+json"
"""the media type of every error of Gapcast's (RFC 9457); what stands before it, such as a proxy, sends others"""


class FieldRefusal(TypedDict):
    """One field that does not fit, as the server names it."""

    param: str
    message: str
    value: NotRequired[Any]
    """what was sent, shortened"""


class GapcastError(Exception):
    """The server refused a request, or could not be reached; the root of all that the client raises about a server.

    Attributes:
        status: the HTTP status; 0 when no answer came.
        code: the problem's code, such as `unknown_model`; without an answer `invalid_url`, `unreachable` (nothing was
            sent) or `answer_lost` (what was sent may have taken effect).
        param: the field that does not fit.
        errors: every field that does not fit, with its message.
        retry_after: seconds after which the server asks to be tried again; None: it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "unreachable",
        param: str | None = None,
        errors: list[FieldRefusal] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.errors = status, code, param, errors or []
        self.retry_after = retry_after


class InvalidRequest(GapcastError):
    """The request does not fit: 400, 422, and what else is wrong about a request itself (4xx)."""


class Unauthorized(GapcastError):
    """The server needs a key, does not accept the one that was sent (401), or forbids the request (403)."""


class NotFound(GapcastError):
    """The server has no such thing (404)."""


class Conflict(GapcastError):
    """The thing is not in a state that allows the request (409)."""


class RateLimited(GapcastError):
    """The server has too much to do for now (429, or 503 with the code `overloaded`); see `retry_after`."""


class ServerFault(GapcastError):
    """The server failed, or a part that it needs does not answer (5xx)."""


class Unreachable(GapcastError):
    """No connection to the server; nothing was sent."""


class AnswerLost(GapcastError):
    """The connection broke, or the time was over, before the answer came; what was sent may have taken effect."""


class NotGapcast(GapcastError):
    """Something answers at this address, but not as Gapcast does."""


KINDS: dict[int, type[GapcastError]] = {
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
"""by status; the others are `InvalidRequest` below 500 and `ServerFault` from there"""
FROM_A_PROXY = frozenset({401, 403, 429})
"""statuses below 500 that mean the same where something before Gapcast sends them"""


def refusal(response: httpx2.Response, url: str, *, with_key: bool) -> GapcastError:
    """Turn an answer that is an error into an exception.

    Args:
        response: the answer, read to its end.
        url: the address of the server.
        with_key: True if the request carried a key.
    """
    status = response.status_code
    is_problem = response.headers.get("Content-Type", "").startswith(PROBLEM)
    if status < 500 and status not in FROM_A_PROXY and not is_problem:
        return not_gapcast(url, f"got {_body_of(response)}", status)
    problem = response.json() if is_problem else {}
    code = problem.get("code", "http_error")
    kind = KINDS.get(status, InvalidRequest if status < 500 else ServerFault)
    if code == "overloaded":
        kind = RateLimited
    message = problem.get("detail") or f"{url}: HTTP {status}"
    if status == 401:
        message = _about_the_key(url, with_key=with_key)
    return kind(
        message,
        status=status,
        code=code,
        param=problem.get("param"),
        errors=problem.get("errors"),
        retry_after=_seconds(response.headers.get("Retry-After")),
    )


def failure(error: httpx2.HTTPError | httpx2.InvalidURL, url: str) -> GapcastError:
    """Turn a request without an answer into an exception."""
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        advice = f"Write http://{url}." if "://" not in url else "Check its host and its port."
        message = f"expected the address of a server, such as {DEFAULT_URL}, got {url!r}. {advice}"
        return Unreachable(message, code="invalid_url")
    what = str(error) or type(error).__name__
    kind, code = (Unreachable, "unreachable") if isinstance(error, NOTHING_SENT) else (AnswerLost, "answer_lost")
    return kind(f"{url}: no answer ({what}). Is `gapcast serve` running there?", code=code)


def not_json(response: httpx2.Response, url: str) -> NotGapcast:
    """Return the exception for an answer whose body is not JSON."""
    return not_gapcast(url, f"got {_body_of(response)}", response.status_code)


def misread(error: ValidationError, url: str) -> NotGapcast:
    """Return the exception for JSON that is not the answer which was asked for."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return not_gapcast(url, f"got {error.title} without a fitting {where or 'body'} ({first['msg']})", 200)


def not_gapcast(url: str, got: str, status: int) -> NotGapcast:
    """Return the exception for an address at which something else answers."""
    message = f"{url}: not Gapcast at this address: expected its JSON, {got}. Check GAPCAST_URL or --url."
    return NotGapcast(message, status=status, code="not_gapcast")


def _body_of(response: httpx2.Response) -> str:
    media = response.headers.get("Content-Type", "").partition(";")[0].strip() or "no Content-Type"
    location = response.headers.get("Location")
    return f"HTTP {response.status_code} " + (f"to {location}" if location else f"with {media}")


def _about_the_key(url: str, *, with_key: bool) -> str:
    if with_key:
        return (
            f"GAPCAST_API_KEY: {url} does not accept the key that was sent. Ask the server's operator for its key, and "
            "set GAPCAST_API_KEY to it."
        )
    return (
        f"GAPCAST_API_KEY: {url} needs an API key, and none was sent. Set GAPCAST_API_KEY to the server's key "
        "(in Python also: Client(api_key=...))."
    )


def _seconds(retry_after: str | None) -> float | None:
    """Read the header `Retry-After`; a date, which Gapcast never sends, counts as none."""
    try:
        return None if retry_after is None else max(0.0, float(retry_after))
    except ValueError:
        return None
