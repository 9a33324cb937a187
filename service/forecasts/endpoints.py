"""POST /v1/forecasts, and GET /v1/training_runs/{id}/forecast."""

from fastapi import APIRouter

from gapcast.contract.forecasts import Forecast, ForecastRequest
from service.dependencies import AppState, Tenant
from service.errors import NoLooks, OldFit, UnknownPool
from service.forecasts import service
from service.kit.errors import BodyTooLarge, InvalidRequest, MalformedJson, NotFound
from service.kit.problems import problems

router = APIRouter(prefix="/forecasts", tags=["forecasts"])
of_runs = APIRouter(prefix="/training_runs", tags=["training_runs"])
"""what of a run is about its end"""


@router.post("", responses=problems(UnknownPool, NotFound, InvalidRequest, MalformedJson, BodyTooLarge))
def create_forecast(request: ForecastRequest, state: AppState, tenant: Tenant) -> Forecast:
    """Forecast a run that is trained elsewhere from its baseline and its looks so far; nothing is stored."""
    return service.of_request(state.database, tenant, request, state.settings)


@of_runs.get("/{run_id}/forecast", responses=problems(NotFound, NoLooks, OldFit))
def get_forecast(run_id: str, state: AppState, tenant: Tenant) -> Forecast:
    """Get where a run is expected to end, now and after each of its evaluations so far."""
    return service.of_run(state.database, tenant, run_id, state.settings)
