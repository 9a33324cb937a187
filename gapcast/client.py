"""The typed client: `from gapcast import Client`."""

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from gapcast.models import Event, Prediction

DEFAULT_URL = "http://127.0.0.1:8321"


class GapcastError(Exception):
    """The server refused, or could not be reached.

    Attributes:
        status: the HTTP status; 0 when no answer came.
        code: the problem's code, such as `unknown_model`.
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
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.errors = status, code, param, errors or []


class Client:
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
        self._http = httpx2.Client(base_url=self.url, headers=headers, timeout=timeout)

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
            raise GapcastError(f"no answer from {self.url}: {error}. Is `gapcast serve` running there?") from error
        if response.is_error:
            raise _refusal(response)
        try:
            return response.json()
        except ValueError as error:
            raise GapcastError(f"{self.url} answers, but not as Gapcast does: no JSON", code="not_gapcast") from error

    def create_prediction(
        self, configuration: Mapping[str, Any], *, wait: float = 0, idempotency_key: str | None = None
    ) -> Prediction:
        """Post a configuration (the body of `POST /v1/predictions`); waits up to `wait` seconds (at most 60).

        Posting again with the same `idempotency_key` gives the prediction that the first post made. Without one a fresh
        key is used, and a post whose answer is lost on the way is repeated once under it.
        """
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        headers |= {"Prefer": f"wait={wait:.0f}"} if wait else {}
        body = dict(configuration)
        try:
            answer = self.request("POST", "/v1/predictions", json=body, headers=headers)
        except GapcastError as error:
            if error.status:
                raise
            answer = self.request("POST", "/v1/predictions", json=body, headers=headers)
        return Prediction.model_validate(answer)

    def get_prediction(self, prediction_id: str) -> Prediction:
        """Read a prediction."""
        return Prediction.model_validate(self.request("GET", f"/v1/predictions/{quote(prediction_id, safe='')}"))

    def list_predictions(self, limit: int = 20, after: str | None = None) -> list[Prediction]:
        """Read one page of predictions, newest first."""
        query = {"limit": limit} | ({"after": after} if after else {})
        page = self.request("GET", "/v1/predictions", params=query)
        return [Prediction.model_validate(one) for one in page["data"]]

    def cancel_prediction(self, prediction_id: str) -> Prediction:
        """Cancel a prediction that has not ended."""
        return Prediction.model_validate(
            self.request("POST", f"/v1/predictions/{quote(prediction_id, safe='')}/cancel")
        )

    def events(self, prediction_id: str) -> Iterator[Event]:
        """Follow a prediction's events until it has ended; a broken connection is taken up again where it broke.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        last, given_up = "", None
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            try:
                path = f"/v1/predictions/{quote(prediction_id, safe='')}/events"
                with self._http.stream("GET", path, headers=headers) as response:
                    if response.is_error:
                        response.read()
                        raise _refusal(response)
                    for line in response.iter_lines():
                        if line.startswith("data:"):
                            event = Event.model_validate(json.loads(line[5:]))
                            last, given_up = event.id, None
                            yield event
                return
            except httpx2.HTTPError as error:
                given_up = given_up or time.monotonic() + 30
                if time.monotonic() > given_up:
                    raise GapcastError(f"no answer from {self.url}: {error}") from error
                time.sleep(0.5)

    def models(self) -> list[dict[str, Any]]:
        """List the models that a worker can load."""
        return list(self.request("GET", "/v1/models")["data"])

    def tasks(self) -> list[dict[str, Any]]:
        """List the tasks."""
        return list(self.request("GET", "/v1/tasks")["data"])

    def context_kinds(self) -> list[dict[str, Any]]:
        """List the context kinds with their options."""
        return list(self.request("GET", "/v1/context_kinds")["data"])

    def current_fit(self, pool: str = "default") -> dict[str, Any]:
        """Read the law of all that a pool holds now."""
        return dict(self.request("GET", "/v1/fits/current", params={"pool": pool}))


def _refusal(response: httpx2.Response) -> GapcastError:
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
