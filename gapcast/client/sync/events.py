# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.events`: what has happened to all predictions, probes, runs and fits."""

from gapcast.client.requests import MOST_A_PAGE
from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.models import Event


class Events(Resource):
    """The log of events: `/v1/events`."""

    def list(
        self,
        *,
        type: str | None = None,
        subject: str | None = None,
        limit: int = MOST_A_PAGE,
        after: str | None = None,
    ) -> Page[Event]:
        """List events, oldest first; iterate over the page to read all.

        Args:
            type: of this type alone, such as `prediction.succeeded`.
            subject: of the prediction, probe or run with this id alone.
            limit: how many on a page.
            after: the id after which the page begins.
        """
        query = {"type": type, "subject": subject, "limit": limit, "after": after}
        return self._connection.page(Event, "/v1/events", query)
