# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.health`: whether the server lives, and can do its work."""

from gapcast.client.sync.resource import Resource
from gapcast.contract.health import Health, Readiness


class HealthChecks(Resource):
    """Health checks: `/healthz` and `/readyz`."""

    def live(self) -> Health:
        """Check that the server answers."""
        return self._connection.check(Health, "/healthz")

    def ready(self) -> Readiness:
        """Check that the server has its database, migrations and broker.

        Raises:
            ServerFault: one of them is missing.
            GapcastError: no answer came.
        """
        return self._connection.check(Readiness, "/readyz")
