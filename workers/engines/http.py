"""Requests to an OpenAI-compatible server: many at a time, repeated where no answer came, refusals told as they are."""

from typing import Any

import httpx2
import stamina

from gapcast.contract.base import JsonObject
from workers.engines.source import ModelSource
from workers.failures import JobError

IN_FLIGHT = 64
"""Requests at a time; the server batches them."""

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 1800.0
"""An answer may stand in the server's queue behind long completions."""

ATTEMPTS = 4

NO_CONNECTION = (httpx2.NetworkError, httpx2.ConnectTimeout, httpx2.RemoteProtocolError)
"""What is worth another attempt; a server that was too slow once is not asked for the same again."""

BUSY = frozenset({429, 502, 503, 504})
"""Answers that are worth another attempt too: too many requests, or something before the server that misses it."""

MAX_WAIT = 60.0
"""Seconds: the longest that a server's Retry-After is heeded."""


class _Busy(Exception):
    """An answer that is asked for again."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


class Server:
    """One server's address, key and model."""

    def __init__(self, source: ModelSource) -> None:
        assert source.url is not None  # noqa: S101 - load_engine comes here with a url alone
        self.url = source.url.rstrip("/")
        self.root = self.url.removesuffix("/v1")
        self.model = source.served_as or source.name
        headers = {"Authorization": f"Bearer {_header_value(source)}"} if source.api_key else {}
        self._http = httpx2.Client(
            headers=headers,
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=IN_FLIGHT),
        )

    def get(self, url: str) -> JsonObject:
        """The JSON object at `url` (`_send`)."""
        return self._send("GET", url, None)

    def post(self, url: str, body: JsonObject) -> JsonObject:
        """The JSON object that a body is answered with (`_send`)."""
        return self._send("POST", url, {"model": self.model, **body})

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, url: str, body: JsonObject | None) -> JsonObject:
        """One answer. Asking again is harmless: the server keeps nothing, and equal seeds give equal samples.

        Raises:
            JobError: `server_unreachable`, `server_refused` with the server's own message, or `engine_incompatible`
                where the answer is not a JSON object.
        """
        try:
            for attempt in stamina.retry_context(on=_again, attempts=ATTEMPTS, timeout=None):
                with attempt:
                    answer = self._http.request(method, url, json=body)
                    if answer.status_code in BUSY:
                        raise _Busy(answer)
        except _Busy as busy:
            answer = busy.answer
        except httpx2.LocalProtocolError:
            # what cannot be sent may be secret, and the error tells it: the text and the cause stay here
            raise _unreachable("did not get its request (LocalProtocolError), which is not HTTP") from None
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise _unreachable(f"did not answer ({type(error).__name__}): {error}") from error
        try:
            content = answer.json()
        except ValueError:
            content = None
        if answer.is_success and isinstance(content, dict):
            return content
        if answer.is_success:
            raise incompatible(f"its answer at {url.removeprefix(self.root)} is not a JSON object")
        raise _refusal(answer, content)


def incompatible(what: str) -> JobError:
    """The failure of a server that lacks what a measurement needs."""
    return JobError("engine_incompatible", f"The model's server cannot be measured with: {what}.", "model")


def _again(error: Exception) -> bool | float:
    """Whether a request is sent again, or after how many seconds."""
    if not isinstance(error, _Busy):
        return isinstance(error, NO_CONNECTION)
    asked = error.answer.headers.get("Retry-After", "")
    return min(float(asked), MAX_WAIT) if asked.isdecimal() else True  # a date is not heeded


def _header_value(source: ModelSource) -> str:
    key = source.api_key or ""
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        raise _unreachable(
            f"cannot be asked: the key of {source.name!r} has a space at an end, or a character that no header can have"
        )
    return key


def _unreachable(what: str) -> JobError:
    return JobError("server_unreachable", f"The model's server {what}"[:300], "model", "server")


def _refusal(answer: httpx2.Response, content: Any) -> JobError:  # noqa: ANN401 - whatever a server sends
    told = content.get("error", content) if isinstance(content, dict) else answer.text
    message = told.get("message", told) if isinstance(told, dict) else told
    return JobError(
        "server_refused",
        f"The model's server answered {answer.status_code}: {message}"[:500],
        "model",
        "server" if answer.status_code >= 500 or answer.status_code == 429 else "user",
    )
