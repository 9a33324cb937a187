"""`client.health`: whether the server lives, and can do its work."""

from gapcast.client.aio.resource import Resource
from gapcast.contract.health import Health, Readiness


class HealthChecks(Resource):
    """Health checks: `/healthz` and `/readyz`."""

    async def live(self) -> Health:
        """Check that the server answers."""
        return await self._connection.check(Health, "/healthz")

    async def ready(self) -> Readiness:
        """Check that the server has its database, migrations and broker.

        Raises:
            ServerFault: one of them is missing.
            GapcastError: no answer came.
        """
        return await self._connection.check(Readiness, "/readyz")
