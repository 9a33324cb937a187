# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.contexts`: the ways to build the self-teacher's context."""

from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.models import ContextKind


class Contexts(Resource):
    """Context kinds: `/v1/context_kinds`."""

    def list(self) -> Page[ContextKind]:
        """List the context kinds, each with the JSON Schema of its options and an example, all on one page."""
        return self._connection.page(ContextKind, "/v1/context_kinds", {})
