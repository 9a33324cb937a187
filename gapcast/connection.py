"""One server over HTTP: requests, refusals, and posts that are safe to repeat."""

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, NotRequired, Self, TypedDict
from urllib.parse import quote

import httpx2

from gapcast.contract.events import EventOut as Event
from gapcast.reading import Kind, read

DEFAULT_URL = "http://127.0.0.1:8321"
NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol)
MOST_A_PAGE = 100
AWAY_SECONDS = 30
"""for which a server may be away while its events are followed"""
AWAY = frozenset({0, 502, 503, 504})
"""statuses of a server that is not there: no answer, or that of a proxy before it"""


Query = dict[str, Any]
"""The parameters of a URL, by name; of a list, each of its values."""


class FieldRefusal(TypedDict):
    """One field that does not fit, as the server names it."""

    param: str
    message: str
    value: NotRequired[Any]
    """what was sent, shortened"""


class GapcastError(Exception):
    """The server refused, or could not be reached.

    Attributes:
        status: the HTTP status; 0 when no answer came.
        code: the problem's code, such as `unknown_model`; without an answer `unreachable` (nothing was sent) or
            `answer_lost` (what was sent may have taken effect).
        param: the field that does not fit.
        errors: every field that does not fit, with its message.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "unreachable",
        param: str | None = None,
        errors: list[FieldRefusal] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.errors = status, code, param, errors or []


class Connection:
    """A connection to one Gapcast server.

    Args:
        url: the server's address; `GAPCAST_URL`, else http://127.0.0.1:8321.
        api_key: the key that the server asks for; `GAPCAST_API_KEY`.
        timeout: seconds that one request may take.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None, timeout: float = 75.0) -> None:
        self.url = (url or os.environ.get("GAPCAST_URL") or DEFAULT_URL).rstrip("/")
        key = api_key or os.environ.get("GAPCAST_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._http = httpx2.Client(base_url=self.url, headers=headers, timeout=timeout)
        except httpx2.InvalidURL as error:
            raise GapcastError(f"{self.url!r} is no address of a server: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401
        """Send one request and return its JSON.

        Raises:
            GapcastError: the server refused, or no answer came.
        """
        try:
            response = self._http.request(method, path, **options)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise refusal(response)
        try:
            return response.json()
        except ValueError as error:
            raise GapcastError(f"{self.url} answers, but not as Gapcast does: no JSON", code="not_gapcast") from error

    def get_patiently(self, path: str, query: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """GET, again and again where the server is away.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        given_up = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                return self.request("GET", path, params=dict(query))
            except GapcastError as error:
                if error.status not in AWAY or time.monotonic() > given_up:
                    raise
            time.sleep(0.5)

    def post_safely(
        self,
        path: str,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """POST under an `Idempotency-Key` (a fresh one unless given).

        A post whose answer is lost on the way is repeated once under the same key, so it takes effect at most once.

        Raises:
            GapcastError: the server refused, or no answer came to either.
        """
        sent = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())} | dict(headers or {})
        try:
            return self.request("POST", path, headers=sent, **options)
        except GapcastError as error:
            if error.code != "answer_lost":
                raise
        try:
            return self.request("POST", path, headers=sent, **options)
        except GapcastError as error:
            if error.code == "unreachable":  # now, but the first post was sent
                error.code = "answer_lost"
            raise

    def download(self, path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """GET a body piece by piece.

        Raises:
            GapcastError: the server refused, no answer came, or it broke off.
        """
        try:
            with self._http.stream("GET", path, params=dict(query)) as response:
                if response.is_error:
                    response.read()
                    raise refusal(response)
                yield from response.iter_bytes()
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def listed(
        self, kind: type[Kind], path: str, query: Mapping[str, Any], limit: int, after: str | None
    ) -> Iterator[Kind]:
        """Read up to `limit` items of a list, in several requests where they are more than a page.

        Raises:
            GapcastError: the server refused, or no answer came.
        """
        while True:
            size = min(limit, MOST_A_PAGE)
            page = self.request("GET", path, params=without_nones({**query, "limit": size, "after": after}))
            for one in page["data"]:
                yield read(kind, one)
            limit, after = limit - size, page["last_id"]
            if not page["has_more"] or limit <= 0:
                return

    def stream_events(self, path: str) -> Iterator[Event]:
        """Follow events until their subject has ended; a broken connection is taken up again where it broke.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        last, given_up = "", None
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            try:
                with self._http.stream("GET", path, headers=headers) as response:
                    if response.is_error:
                        response.read()
                        raise refusal(response)
                    for line in response.iter_lines():
                        if line.startswith("data:"):
                            event = read(Event, json.loads(line[5:]))
                            last, given_up = event.id, None
                            yield event
                return
            except httpx2.HTTPError as error:
                given_up = given_up or time.monotonic() + AWAY_SECONDS
                if time.monotonic() > given_up:
                    raise GapcastError(f"no answer from {self.url}: {error}") from error
                time.sleep(0.5)

    def _unreachable(self, error: httpx2.HTTPError) -> GapcastError:
        code = "unreachable" if isinstance(error, NOTHING_SENT) else "answer_lost"
        said = str(error) or type(error).__name__
        return GapcastError(f"no answer from {self.url}: {said}. Is `gapcast serve` running there?", code=code)


def refusal(response: httpx2.Response) -> GapcastError:
    """Turn an answer that is an error (RFC 9457, or a proxy's) into an exception."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    return GapcastError(
        problem.get("detail") or f"HTTP {response.status_code}",
        status=response.status_code,
        code=problem.get("code", "http_error"),
        param=problem.get("param"),
        errors=problem.get("errors"),
    )


def segment(text: str) -> str:
    """An id as one part of a path, whatever it holds."""
    return quote(text, safe="")


def without_nones(query: Mapping[str, Any]) -> Query:
    """Return a query without what is not asked for."""
    return {name: value for name, value in query.items() if value is not None}


def waiting(seconds: float) -> dict[str, str]:
    """The header that asks a server to answer when something has ended, or after that many seconds (at most 60)."""
    return {"Prefer": f"wait={seconds:.0f}"} if seconds else {}
