# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.predictions`: what a configuration will gain."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Unpack

from gapcast.client.fields import Order, PredictionFields, PredictionFilters
from gapcast.client.requests import MOST_A_PAGE, body_of, query_of, segment, waiting
from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.contract.predictions import PredictionRequest
from gapcast.models import TERMINAL, Event, Prediction

ALL = "/v1/predictions"
ENDS = frozenset(f"prediction.{status}" for status in TERMINAL)
"""the type of a prediction's last event"""


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

    def create_many(
        self,
        requests: Iterable[PredictionRequest | Mapping[str, Any]],
        *,
        wait: float = 0,
        idempotency_key: str | None = None,
        **fields: Unpack[PredictionFields],
    ) -> Page[Prediction]:
        """Ask what each of several configurations will gain: all of the predictions are stored, or none.

        Args:
            requests: 1 to 50 bodies of `POST /v1/predictions`.
            wait: seconds to wait for all of the predictions to end, at most 60.
            idempotency_key: names this post; None: a fresh one.
            fields: of every request, in place of its own.

        Returns:
            The predictions in the order of the requests, on one page.

        Raises:
            InvalidRequest: a field does not fit; `errors` name each by its place, such as `3.context.kind`.
            GapcastError: the server refused, or no answer came.
        """
        bodies = [body_of(request, fields) for request in requests]
        answer = self._connection.create(ALL, idempotency_key, waiting(wait), json=bodies)
        return self._connection.page_of(answer, Prediction, ALL, {})

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
            TypeError: the filter does not exist.
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

    def follow(self, prediction_ids: Sequence[str]) -> Iterator[tuple[str, Event]]:
        """Follow the events of several predictions as they come, each with its prediction's id, until all have ended.

        Raises:
            GapcastError: the server refused one of them, or was away for 30 seconds.
        """
        paths = {prediction_id: f"{_path(prediction_id)}/events" for prediction_id in prediction_ids}
        yield from self._connection.follow_all(paths, ENDS)


def _path(prediction_id: str) -> str:
    return f"{ALL}/{segment(prediction_id)}"
