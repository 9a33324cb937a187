"""`client.recommendations`: what to probe and what to train with a budget."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Unpack

from gapcast.client.aio.page import AsyncPage
from gapcast.client.aio.resource import Resource
from gapcast.client.fields import Order, RecommendationFields, RecommendationFilters
from gapcast.client.requests import LONGEST_WAIT, MOST_A_PAGE, query_of, segment
from gapcast.contract.recommendations import RecommendationRequest
from gapcast.models import Event, Recommendation

ALL = "/v1/recommendations"


class Recommendations(Resource):
    """Recommendations: `/v1/recommendations`."""

    async def create(
        self,
        request: RecommendationRequest | Mapping[str, Any] | None = None,
        *,
        wait: float = 0,
        idempotency_key: str | None = None,
        **fields: Unpack[RecommendationFields],
    ) -> Recommendation:
        """Have a budget planned over a search space: a list of configurations, or a base and fields that vary.

        With `execute=True` the plan's steps are started, one after another.

        A post whose answer is lost is repeated under the same `idempotency_key`, so it takes effect at most once.
        Posting again with the same key answers with the recommendation that the first post made.

        Args:
            request: the body of `POST /v1/recommendations`; it may also be given field by field.
            wait: seconds to wait for the recommendation to end, at most 60.
            idempotency_key: names this post; None: a fresh one.
            fields: of the request, in place of those in `request`.

        Raises:
            InvalidRequest: a field does not fit; `param` and `errors` name it.
            GapcastError: the server refused, or no answer came.
        """
        return await self._connection.post(
            Recommendation, ALL, request, fields, idempotency_key=idempotency_key, wait=wait
        )

    async def get(self, recommendation_id: str, *, wait: float = 0) -> Recommendation:
        """Read a recommendation, once it has ended or after `wait` seconds (at most 60)."""
        return await self._connection.get(Recommendation, _path(recommendation_id), wait=wait)

    async def wait(self, recommendation_id: str) -> Recommendation:
        """Read a recommendation once it has ended, however long that takes.

        Raises:
            GapcastError: the server refused, or was away for 30 seconds.
        """
        while True:
            path = _path(recommendation_id)
            found = await self._connection.get(Recommendation, path, wait=LONGEST_WAIT, patiently=True)
            if found.ended:
                return found

    async def list(
        self,
        *,
        limit: int = MOST_A_PAGE,
        after: str | None = None,
        order: Order = "desc",
        **filters: Unpack[RecommendationFilters],
    ) -> AsyncPage[Recommendation]:
        """List recommendations, newest first; iterate over the page to read all.

        Args:
            limit: how many on a page, at most 100.
            after: the id after which the page begins.
            order: by time of creation.
            filters: which recommendations.

        Raises:
            GapcastError: the server refused, or no answer came.
            TypeError: the filter does not exist.
        """
        query = query_of(RecommendationFilters, filters)
        return await self._connection.page(
            Recommendation, ALL, {**query, "limit": limit, "after": after, "order": order}
        )

    async def cancel(self, recommendation_id: str) -> Recommendation:
        """Cancel a plan that is executed, and all that it has started; what was measured is kept."""
        return await self._connection.act(Recommendation, "POST", f"{_path(recommendation_id)}/cancel")

    def events(self, recommendation_id: str) -> AsyncIterator[Event]:
        """Follow an executed plan's events, and those of all that it starts, until it has ended.

        A broken connection is taken up again where it broke.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        return self._connection.follow(f"{_path(recommendation_id)}/events")


def _path(recommendation_id: str) -> str:
    return f"{ALL}/{segment(recommendation_id)}"
