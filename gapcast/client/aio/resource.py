"""The base of the client's resources."""

from gapcast.client.aio.connection import AsyncConnection


class Resource:
    """A part of the API, reached through a client's connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
