"""The typed client: `from gapcast import Client`."""

from collections.abc import Iterator, Mapping
from typing import Any

from gapcast.catalog_calls import CatalogCalls
from gapcast.connection import DEFAULT_URL, GapcastError, segment, waiting, without_nones
from gapcast.contract.base import Listing
from gapcast.law_calls import LawCalls
from gapcast.models import Event, Pool, Prediction
from gapcast.observation_calls import ObservationCalls
from gapcast.probe_calls import ProbeCalls
from gapcast.reading import read
from gapcast.training_calls import TrainingCalls

__all__ = ["DEFAULT_URL", "Client", "GapcastError"]


class Client(ProbeCalls, TrainingCalls, CatalogCalls, ObservationCalls, LawCalls):
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
        answer = self.post_safely(
            "/v1/predictions", idempotency_key=idempotency_key, headers=waiting(wait), json=dict(configuration)
        )
        return read(Prediction, answer)

    def get_prediction(self, prediction_id: str) -> Prediction:
        """Read a prediction."""
        return read(Prediction, self.request("GET", f"/v1/predictions/{segment(prediction_id)}"))

    def list_predictions(self, limit: int = 20, after: str | None = None) -> list[Prediction]:
        """Read one page of predictions, newest first."""
        page = self.request("GET", "/v1/predictions", params=without_nones({"limit": limit, "after": after}))
        return [read(Prediction, one) for one in page["data"]]

    def cancel_prediction(self, prediction_id: str) -> Prediction:
        """Cancel a prediction that has not ended."""
        return read(Prediction, self.request("POST", f"/v1/predictions/{segment(prediction_id)}/cancel"))

    def events(self, prediction_id: str) -> Iterator[Event]:
        """Follow a prediction's events until it has ended; a broken connection is taken up again where it broke.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        return self.stream_events(f"/v1/predictions/{segment(prediction_id)}/events")

    def pools(self) -> list[Pool]:
        """List the pools of observations."""
        return read(Listing[Pool], self.request("GET", "/v1/pools")).data
