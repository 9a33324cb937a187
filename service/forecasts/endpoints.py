"""POST /v1/forecasts; GET /v1/training_runs/{id}/forecast stands with the other endpoints of runs."""

from fastapi import APIRouter

from gapcast.contract.forecasts import Forecast, ForecastRequest
from service.dependencies import AppState, Tenant
from service.errors import UnknownPool
from service.forecasts import service
from service.kit.errors import BodyTooLarge, InvalidRequest, MalformedJson, NotFound
from service.kit.problems import problems

router = APIRouter(prefix="/forecasts", tags=["forecasts"])


@router.post("", responses=problems(UnknownPool, NotFound, InvalidRequest, MalformedJson, BodyTooLarge))
def create_forecast(request: ForecastRequest, state: AppState, tenant: Tenant) -> Forecast:
    """Forecast a run that is trained elsewhere from its baseline and its looks so far; nothing is stored."""
    return service.of_request(state.database, tenant, request, state.settings)
