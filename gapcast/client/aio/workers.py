"""`client.workers`: the processes that run jobs."""

from gapcast.client.aio.page import AsyncPage
from gapcast.client.aio.resource import Resource
from gapcast.models import Worker


class Workers(Resource):
    """Workers: `/v1/workers`."""

    async def list(self) -> AsyncPage[Worker]:
        """List the workers that gave a sign of life within 30 s, with the jobs that they run, all on one page."""
        return await self._connection.page(Worker, "/v1/workers", {})
