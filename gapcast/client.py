"""The typed client: `from gapcast import Client`."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

from gapcast.connection import DEFAULT_URL, GapcastError, refusal, segment
from gapcast.law_calls import LawCalls
from gapcast.models import Event, Prediction
from gapcast.observation_calls import ObservationCalls

__all__ = ["DEFAULT_URL", "Client", "GapcastError"]


class Client(ObservationCalls, LawCalls):
    """A connection to one Gapcast server.

    Args:
        url: the server's address; `GAPCAST_URL`, else http://127.0.0.1:8321.
        api_key: the key that the server asks for; `GAPCAST_API_KEY`.
        timeout: seconds that one request may take.
    """

    def create_prediction(
        self, configuration: Mapping[str, Any], *, wait: float = 0, idempotency_key: str | None = None
    ) -> Prediction:
        """Post a configuration (the body of `POST /v1/predictions`); waits up to `wait` seconds (at most 60).

        Posting again with the same `idempotency_key` gives the prediction that the first post made. Without one a fresh
        key is used, and a post whose answer is lost on the way is repeated once under it.
        """
        headers = {"Prefer": f"wait={wait:.0f}"} if wait else {}
        answer = self.post_safely(
            "/v1/predictions", idempotency_key=idempotency_key, headers=headers, json=dict(configuration)
        )
        return Prediction.model_validate(answer)

    def get_prediction(self, prediction_id: str) -> Prediction:
        """Read a prediction."""
        return Prediction.model_validate(self.request("GET", f"/v1/predictions/{segment(prediction_id)}"))

    def list_predictions(self, limit: int = 20, after: str | None = None) -> list[Prediction]:
        """Read one page of predictions, newest first."""
        query = {"limit": limit} | ({"after": after} if after else {})
        page = self.request("GET", "/v1/predictions", params=query)
        return [Prediction.model_validate(one) for one in page["data"]]

    def cancel_prediction(self, prediction_id: str) -> Prediction:
        """Cancel a prediction that has not ended."""
        return Prediction.model_validate(self.request("POST", f"/v1/predictions/{segment(prediction_id)}/cancel"))

    def events(self, prediction_id: str) -> Iterator[Event]:
        """Follow a prediction's events until it has ended; a broken connection is taken up again where it broke.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        last, given_up = "", None
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            try:
                path = f"/v1/predictions/{segment(prediction_id)}/events"
                with self._http.stream("GET", path, headers=headers) as response:
                    if response.is_error:
                        response.read()
                        raise refusal(response)
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

    def pools(self) -> list[dict[str, Any]]:
        """List the pools of observations."""
        return list(self.request("GET", "/v1/pools")["data"])

    def context_kinds(self) -> list[dict[str, Any]]:
        """List the context kinds with their options."""
        return list(self.request("GET", "/v1/context_kinds")["data"])
