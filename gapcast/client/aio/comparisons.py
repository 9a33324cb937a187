"""`client.comparisons`: which of several configurations to train."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Unpack

from gapcast.client.aio.page import AsyncPage
from gapcast.client.aio.resource import Resource
from gapcast.client.fields import ComparisonFields, ComparisonFilters, Order
from gapcast.client.requests import LONGEST_WAIT, MOST_A_PAGE, query_of, segment
from gapcast.contract.comparisons import ComparisonRequest
from gapcast.models import Comparison, Event

ALL = "/v1/comparisons"


class Comparisons(Resource):
    """Comparisons: `/v1/comparisons`."""

    async def create(
        self,
        request: ComparisonRequest | Mapping[str, Any] | None = None,
        *,
        wait: float = 0,
        idempotency_key: str | None = None,
        **fields: Unpack[ComparisonFields],
    ) -> Comparison:
        """Have several configurations compared: a list, or a base and the values of its fields that vary.

        A post whose answer is lost is repeated under the same `idempotency_key`, so it takes effect at most once.
        Posting again with the same key answers with the comparison that the first post made.

        Args:
            request: the body of `POST /v1/comparisons`; it may also be given field by field.
            wait: seconds to wait for the comparison to end, at most 60.
            idempotency_key: names this post; None: a fresh one.
            fields: of the request, in place of those in `request`.

        Raises:
            InvalidRequest: a field does not fit; `param` and `errors` name it.
            GapcastError: the server refused, or no answer came.
        """
        return await self._connection.post(Comparison, ALL, request, fields, idempotency_key=idempotency_key, wait=wait)

    async def get(self, comparison_id: str, *, wait: float = 0) -> Comparison:
        """Read a comparison, once it has ended or after `wait` seconds (at most 60)."""
        return await self._connection.get(Comparison, _path(comparison_id), wait=wait)

    async def wait(self, comparison_id: str) -> Comparison:
        """Read a comparison once it has ended, however long that takes.

        Raises:
            GapcastError: the server refused, or was away for 30 seconds.
        """
        while True:
            path = _path(comparison_id)
            found = await self._connection.get(Comparison, path, wait=LONGEST_WAIT, patiently=True)
            if found.ended:
                return found

    async def list(
        self,
        *,
        limit: int = MOST_A_PAGE,
        after: str | None = None,
        order: Order = "desc",
        **filters: Unpack[ComparisonFilters],
    ) -> AsyncPage[Comparison]:
        """List comparisons, newest first, each with its newest round; iterate over the page to read all.

        Args:
            limit: how many on a page, at most 100.
            after: the id after which the page begins.
            order: by time of creation.
            filters: which comparisons.

        Raises:
            GapcastError: the server refused, or no answer came.
            TypeError: the filter does not exist.
        """
        query = query_of(ComparisonFilters, filters)
        return await self._connection.page(Comparison, ALL, {**query, "limit": limit, "after": after, "order": order})

    async def cancel(self, comparison_id: str) -> Comparison:
        """Cancel a comparison that has not ended; its rounds are kept."""
        return await self._connection.act(Comparison, "POST", f"{_path(comparison_id)}/cancel")

    def events(self, comparison_id: str) -> AsyncIterator[Event]:
        """Follow a comparison's events until it has ended; a broken connection is taken up again where it broke.

        After a lost worker the rounds of its job are told again.

        Raises:
            GapcastError: the server refused, or did not come back within 30 seconds.
        """
        return self._connection.follow(f"{_path(comparison_id)}/events")


def _path(comparison_id: str) -> str:
    return f"{ALL}/{segment(comparison_id)}"
