"""`client.models`: the models that a worker can load."""

from gapcast.client.aio.page import AsyncPage
from gapcast.client.aio.resource import Resource
from gapcast.client.requests import name_path
from gapcast.models import Model


class Models(Resource):
    """Models: `/v1/models`."""

    async def list(self) -> AsyncPage[Model]:
        """List the models that a worker can load, the lab's and those of the server's settings, all on one page."""
        return await self._connection.page(Model, "/v1/models", {})

    async def get(self, name: str) -> Model:
        """Read one model."""
        return await self._connection.get(Model, f"/v1/models/{name_path(name)}")
