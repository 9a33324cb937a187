"""One server over HTTP: requests that are repeated where that is safe, refusals as exceptions, pages and events."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import httpx2
from pydantic import BaseModel, ValidationError
from tenacity import AsyncRetrying

from gapcast.client.aio.page import AsyncPage
from gapcast.client.errors import GapcastError, Unreachable, failure, misread, not_gapcast, not_json, refusal
from gapcast.client.files import CHECKING, MEDIA_TYPES
from gapcast.client.reading import Kind, read
from gapcast.client.requests import authorization, body_of, idempotent, server_url, waiting, without_nones
from gapcast.client.retries import is_away, policy
from gapcast.contract.events import EventOut as Event
from gapcast.contract.events import EventPage
from gapcast.generators import Generated, described, generated

LOOK_SECONDS = 1.0
"""between two looks at things that are followed together: a step takes about as long, and dozens of them ask little"""
NO_CONTENT = 204
MOST_EVENTS = 500
"""that a server gives at once"""


class AsyncConnection:
    """A connection to one Gapcast server; every resource of a client uses the same.

    Args:
        url: the server's address; None: that of `GAPCAST_URL`, else http://127.0.0.1:8321.
        api_key: the key that the server asks for; None: that of `GAPCAST_API_KEY`.
        timeout: seconds that one request may take.
        retries: how often a request is repeated where it may be.

    Raises:
        Unreachable: the URL is not one.
    """

    def __init__(self, url: str | None, api_key: str | None, timeout: float, retries: int) -> None:
        self.url = server_url(url)
        self._attempts = 1 + retries
        headers = authorization(api_key)
        self._with_key = bool(headers)
        try:
            self._http = httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=timeout)
        except httpx2.InvalidURL as error:
            raise failure(error, self.url) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def get(
        self,
        kind: type[Kind],
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        wait: float = 0,
        patiently: bool = False,
    ) -> Kind:
        """GET an object; `wait` seconds for its end, `patiently` while the server is away for up to 30 seconds.

        Raises:
            GapcastError: the server refused, or no answer came.
        """
        options = {"params": without_nones(query or {}), "headers": waiting(wait)}
        return self.read(kind, await self.send("GET", path, repeatable=True, patiently=patiently, **options))

    async def page(self, kind: type[Kind], path: str, query: Mapping[str, Any]) -> AsyncPage[Kind]:
        """GET one page of a list, which reads the following ones when it is iterated.

        Raises:
            GapcastError: the server refused, or no answer came.
        """
        answer = await self.send("GET", path, repeatable=True, params=without_nones(query))
        return self.page_of(answer, kind, path, query)

    def page_of(self, answer: Any, kind: type[Kind], path: str, query: Mapping[str, Any]) -> AsyncPage[Kind]:  # noqa: ANN401
        """Return an answer as a page of a list.

        Raises:
            NotGapcast: it is not one.
        """
        try:
            data = [self.read(kind, item) for item in answer["data"]]
            return AsyncPage(self, kind, path, query, data, answer.get("last_id"), has_more=answer["has_more"])
        except (KeyError, TypeError) as error:
            raise not_gapcast(self.url, f"got JSON without {error}", 200) from error

    async def post(
        self,
        kind: type[Kind],
        path: str,
        body: BaseModel | Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        wait: float = 0,
    ) -> Kind:
        """POST a request under an `Idempotency-Key`, so that it takes effect once however often it is sent.

        Raises:
            GapcastError: the server refused, or no answer came.
        """
        answer = await self.create(path, idempotency_key, waiting(wait), json=body_of(body, fields or {}))
        return self.read(kind, answer)

    async def create(
        self,
        path: str,
        idempotency_key: str | None,
        headers: Mapping[str, str],
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """POST what may be no JSON under an `Idempotency-Key`, and return the answer's JSON."""
        sent = {**idempotent(idempotency_key), **headers}
        return await self.send("POST", path, repeatable=True, headers=sent, **options)

    async def act(self, kind: type[Kind], method: str, path: str, body: Mapping[str, Any] | None = None) -> Kind:
        """Send a request without an `Idempotency-Key`: it is not repeated where it may have taken effect.

        Raises:
            GapcastError: the server refused, or no answer came.
        """
        return self.read(kind, await self.send(method, path, repeatable=False, json=body))

    async def check(self, kind: type[Kind], path: str) -> Kind:
        """GET an object once, for those who ask whether the server is there.

        Raises:
            GapcastError: the server refused, or no answer came.
        """
        return self.read(kind, await self._once("GET", path))

    async def send(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        patiently: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Send a request, again where that is safe, and return the answer's JSON.

        Raises:
            GapcastError: the server refused, or no answer came to the last attempt. Where the answer to an earlier one
                was lost it is `AnswerLost` even if the last could not be sent: the request may have taken effect.
            GeneratorError: the request describes a task that cannot be made here.
        """
        for part in described(options.get("json")):
            part["task"] = await self._store_task(generated(part["task"]))
        lost: GapcastError | None = None
        async for attempt in AsyncRetrying(
            **policy(repeatable=repeatable, attempts=None if patiently else self._attempts)
        ):
            with attempt:
                try:
                    return await self._once(method, path, **options)
                except Unreachable as error:
                    if lost is not None:
                        raise lost from error
                    raise
                except GapcastError as error:
                    if error.code == "answer_lost":
                        lost = error
                    raise
        raise AssertionError("unreachable")

    async def _store_task(self, task: Generated) -> str:
        """Store a task that another library has made, and return its name; the same one is stored once."""
        headers = {**idempotent(None), "Content-Type": MEDIA_TYPES["ndjson"]}
        sent: dict[str, Any] = {"params": task.header, "content": task.lines, "headers": headers, "timeout": CHECKING}
        await self.send("POST", "/v1/tasks", repeatable=True, **sent)
        return task.name

    async def _once(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401
        try:
            response = await self._http.request(method, path, **options)
        except httpx2.HTTPError as error:
            raise failure(error, self.url) from error
        if response.is_error:
            raise refusal(response, self.url, with_key=self._with_key)
        if response.status_code == NO_CONTENT:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise not_json(response, self.url) from error

    async def download(self, path: str, query: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """GET a body piece by piece.

        Raises:
            GapcastError: the server refused, no answer came, or it broke off.
        """
        try:
            async with self._http.stream("GET", path, params=without_nones(query)) as response:
                if response.is_error:
                    await response.aread()
                    raise refusal(response, self.url, with_key=self._with_key)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx2.HTTPError as error:
            raise failure(error, self.url) from error

    async def follow(self, path: str) -> AsyncIterator[Event]:
        """Follow events until their subject has ended; a broken connection is taken up again where it broke.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        last, ended = "", False
        while not ended:
            came = False  # with every event a server that goes away has its 30 seconds again
            async for attempt in AsyncRetrying(**policy(repeatable=True)):
                with attempt:
                    try:
                        async for event in self._stream(path, last):
                            last, came = event.id, True
                            yield event
                        ended = True
                    except GapcastError as error:
                        if not (came and is_away(error)):
                            raise
                    break

    async def follow_all(
        self, paths: Mapping[str, str], ends: Collection[str], rests: Collection[str] = ()
    ) -> AsyncIterator[tuple[str, Event]]:
        """Follow several subjects, whose events' paths are given by their ids, until each has had an event of `ends`.

        A subject whose newest event is of `rests` is not followed any more either.

        Raises:
            GapcastError: the server refused one of them, or was away for 30 seconds.
        """
        last = dict.fromkeys(paths, "")
        while last:
            behind = False
            for subject in [*last]:
                query = {"after": last[subject], "limit": MOST_EVENTS}
                page = await self.get(EventPage, paths[subject], query, patiently=True)
                behind |= page.has_more
                for event in page.data:
                    last[subject] = event.id
                    yield subject, event
                    if event.type in ends or (event.type in rests and event is page.data[-1] and not page.has_more):
                        del last[subject]
            if last and not behind:
                await asyncio.sleep(LOOK_SECONDS)

    async def _stream(self, path: str, last: str) -> AsyncIterator[Event]:
        headers = {"Last-Event-ID": last} if last else {}
        try:
            async with self._http.sse(path, headers=headers) as source:
                if source.response.is_error:
                    await source.response.aread()
                    raise refusal(source.response, self.url, with_key=self._with_key)
                async for event in source:
                    yield self.read(Event, event.json())
        except httpx2.HTTPError as error:
            raise failure(error, self.url) from error

    def read(self, kind: type[Kind], answer: Any) -> Kind:  # noqa: ANN401
        """Return an answer as an object of this class.

        Raises:
            NotGapcast: it is not one.
        """
        try:
            return read(kind, answer)
        except ValidationError as error:
            raise misread(error, self.url) from error
