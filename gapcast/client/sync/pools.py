# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.pools`: the pools of observations."""

from collections.abc import Sequence

from gapcast.client.requests import segment
from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.models import Pool


class Pools(Resource):
    """Pools: `/v1/pools`."""

    def list(self) -> Page[Pool]:
        """List the pools of observations, all on one page."""
        return self._connection.page(Pool, "/v1/pools", {})

    def set(self, name: str, *, borrow: Sequence[str] = ()) -> Pool:
        """Make a pool, or set which pools it borrows: their families stand beside its own in its law."""
        return self._connection.post(Pool, "/v1/pools", {"name": name, "borrow": list(borrow)})

    def get(self, name: str) -> Pool:
        """Read one pool."""
        return self._connection.get(Pool, f"/v1/pools/{segment(name)}")
