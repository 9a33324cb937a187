"""`client.contexts`: the ways to build the self-teacher's context."""

from gapcast.client.aio.page import AsyncPage
from gapcast.client.aio.resource import Resource
from gapcast.models import ContextKind


class Contexts(Resource):
    """Context kinds: `/v1/context_kinds`."""

    async def list(self) -> AsyncPage[ContextKind]:
        """List the context kinds, each with the JSON Schema of its options and an example, all on one page."""
        return await self._connection.page(ContextKind, "/v1/context_kinds", {})
