# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.models`: the models that a worker can load."""

from gapcast.client.requests import name_path
from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.models import Model


class Models(Resource):
    """Models: `/v1/models`."""

    def list(self) -> Page[Model]:
        """List the models that a worker can load, the lab's and those of the server's settings, all on one page."""
        return self._connection.page(Model, "/v1/models", {})

    def get(self, name: str) -> Model:
        """Read one model."""
        return self._connection.get(Model, f"/v1/models/{name_path(name)}")
