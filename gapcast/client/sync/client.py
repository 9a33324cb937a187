# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""The client: a connection to one server, and a resource for each part of its API."""

from types import TracebackType
from typing import Self

from gapcast.client.sync.comparisons import Comparisons
from gapcast.client.sync.connection import Connection
from gapcast.client.sync.contexts import Contexts
from gapcast.client.sync.events import Events
from gapcast.client.sync.external_runs import ExternalRuns
from gapcast.client.sync.fits import Fits
from gapcast.client.sync.forecasts import Forecasts
from gapcast.client.sync.health import HealthChecks
from gapcast.client.sync.models import Models
from gapcast.client.sync.observations import Observations
from gapcast.client.sync.pools import Pools
from gapcast.client.sync.predictions import Predictions
from gapcast.client.sync.probes import Probes
from gapcast.client.sync.recommendations import Recommendations
from gapcast.client.sync.tasks import Tasks
from gapcast.client.sync.training_runs import TrainingRuns
from gapcast.client.sync.workers import Workers


class Client:
    """A client of one Gapcast server.

    A request that the server has not seen, or turned away as too much, is repeated `retries` times; so is a GET, and a
    post under an `Idempotency-Key`, whose answer was lost. The header `Retry-After` is obeyed up to a minute.

    Args:
        url: the server's address; None: that of `GAPCAST_URL`, else http://127.0.0.1:8321.
        api_key: the key that the server asks for; None: that of `GAPCAST_API_KEY`.
        timeout: seconds that one request may take.
        retries: how often a request is repeated where that is safe.

    Raises:
        Unreachable: the URL is not one.
    """

    def __init__(
        self, url: str | None = None, api_key: str | None = None, *, timeout: float = 75.0, retries: int = 2
    ) -> None:
        self._connection = Connection(url, api_key, timeout, retries)
        self.predictions = Predictions(self._connection)
        self.probes = Probes(self._connection)
        self.comparisons = Comparisons(self._connection)
        self.recommendations = Recommendations(self._connection)
        self.training_runs = TrainingRuns(self._connection)
        self.forecasts = Forecasts(self._connection)
        self.external_runs = ExternalRuns(self._connection)
        self.observations = Observations(self._connection)
        self.fits = Fits(self._connection)
        self.pools = Pools(self._connection)
        self.tasks = Tasks(self._connection)
        self.models = Models(self._connection)
        self.contexts = Contexts(self._connection)
        self.workers = Workers(self._connection)
        self.events = Events(self._connection)
        self.health = HealthChecks(self._connection)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.url

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
