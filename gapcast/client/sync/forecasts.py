# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.forecasts`: where runs that are trained elsewhere will end."""

from collections.abc import Mapping
from typing import Any, Unpack

from gapcast.client.fields import ForecastFields
from gapcast.client.requests import body_of
from gapcast.client.sync.resource import Resource
from gapcast.contract.forecasts import ForecastRequest
from gapcast.models import Forecast


class Forecasts(Resource):
    """Forecasts: `/v1/forecasts`."""

    def create(
        self, request: ForecastRequest | Mapping[str, Any] | None = None, **fields: Unpack[ForecastFields]
    ) -> Forecast:
        """Forecast a run that is trained elsewhere from its baseline and its looks so far; nothing is stored.

        Args:
            request: the body of `POST /v1/forecasts`; it may also be given field by field.
            fields: of the request, in place of those in `request`.

        Raises:
            InvalidRequest: a field does not fit; `param` and `errors` name it.
            GapcastError: the server refused, or no answer came.
        """
        return self._connection.act(Forecast, "POST", "/v1/forecasts", body_of(request, fields))
