# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.workers`: the processes that run jobs."""

from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.models import Worker


class Workers(Resource):
    """Workers: `/v1/workers`."""

    def list(self) -> Page[Worker]:
        """List the workers that gave a sign of life within 30 s, with the jobs that they run, all on one page."""
        return self._connection.page(Worker, "/v1/workers", {})
