# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""The base of the client's resources."""

from gapcast.client.sync.connection import Connection


class Resource:
    """A part of the API, reached through a client's connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
