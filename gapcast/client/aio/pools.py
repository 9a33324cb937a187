"""`client.pools`: the pools of observations."""

from collections.abc import Sequence

from gapcast.client.aio.page import AsyncPage
from gapcast.client.aio.resource import Resource
from gapcast.client.requests import segment
from gapcast.models import Pool


class Pools(Resource):
    """Pools: `/v1/pools`."""

    async def list(self) -> AsyncPage[Pool]:
        """List the pools of observations, all on one page."""
        return await self._connection.page(Pool, "/v1/pools", {})

    async def set(self, name: str, *, borrow: Sequence[str] = ()) -> Pool:
        """Make a pool, or set which pools it borrows: their families stand beside its own in its law."""
        return await self._connection.post(Pool, "/v1/pools", {"name": name, "borrow": list(borrow)})

    async def get(self, name: str) -> Pool:
        """Read one pool."""
        return await self._connection.get(Pool, f"/v1/pools/{segment(name)}")
