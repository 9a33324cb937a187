# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.predictions`: what a configuration will gain."""

from collections.abc import Iterator, Mapping
from typing import Any, Unpack

from gapcast.client.fields import Order, PredictionFields, PredictionFilters
from gapcast.client.requests import MOST_A_PAGE, query_of, segment
from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.contract.predictions import PredictionRequest
from gapcast.models import Event, Prediction

ALL = "/v1/predictions"


class Predictions(Resource):
    """Predictions: `/v1/predictions`."""

    def create(
        self,
        request: PredictionRequest | Mapping[str, Any] | None = None,
        *,
        wait: float = 0,
        idempotency_key: str | None = None,
        **fields: Unpack[PredictionFields],
    ) -> Prediction:
        """Ask what a configuration will gain.

        A post whose answer is lost is repeated under the same `idempotency_key`, so it takes effect at most once.
        Posting again with the same key answers with the prediction that the first post made.

        Args:
            request: the body of `POST /v1/predictions`; it may also be given field by field.
            wait: seconds to wait for the prediction to end, at most 60.
            idempotency_key: names this post; None: a fresh one.
            fields: of the request, in place of those in `request`.

        Raises:
            InvalidRequest: a field does not fit; `param` and `errors` name it.
            GapcastError: the server refused, or no answer came.
        """
        return self._connection.post(Prediction, ALL, request, fields, idempotency_key=idempotency_key, wait=wait)

    def get(self, prediction_id: str, *, wait: float = 0) -> Prediction:
        """Read a prediction, once it has ended or after `wait` seconds (at most 60)."""
        return self._connection.get(Prediction, _path(prediction_id), wait=wait)

    def list(
        self,
        *,
        limit: int = MOST_A_PAGE,
        after: str | None = None,
        order: Order = "desc",
        **filters: Unpack[PredictionFilters],
    ) -> Page[Prediction]:
        """List predictions, newest first; iterate over the page to read all.

        Args:
            limit: how many on a page, at most 100.
            after: the id after which the page begins.
            order: by time of creation.
            filters: which predictions.

        Raises:
            GapcastError: the server refused, or no answer came.
            TypeError: there is no such filter.
        """
        query = query_of(PredictionFilters, filters)
        return self._connection.page(Prediction, ALL, {**query, "limit": limit, "after": after, "order": order})

    def cancel(self, prediction_id: str) -> Prediction:
        """Cancel a prediction that has not ended."""
        return self._connection.act(Prediction, "POST", f"{_path(prediction_id)}/cancel")

    def events(self, prediction_id: str) -> Iterator[Event]:
        """Follow a prediction's events until it has ended; a broken connection is taken up again where it broke.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        return self._connection.follow(f"{_path(prediction_id)}/events")


def _path(prediction_id: str) -> str:
    return f"{ALL}/{segment(prediction_id)}"
