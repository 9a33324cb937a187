"""POST /v1/forecasts, and the calibration of fits; those of runs stand with the other endpoints of runs."""

from typing import Annotated

from fastapi import APIRouter, Query

from gapcast.contract.base import Level
from gapcast.contract.fits import Calibration
from gapcast.contract.forecasts import Forecast, ForecastRequest
from service.dependencies import AppState, Tenant
from service.errors import OldFit, UnknownPool
from service.fits import service as fits
from service.forecasts import service
from service.forecasts.calibrating import calibration
from service.kit.errors import BodyTooLarge, InvalidRequest, MalformedJson, NotFound
from service.kit.problems import problems

router = APIRouter(prefix="/forecasts", tags=["forecasts"])
of_fits = APIRouter(prefix="/fits", tags=["fits"])
"""what of a fit is about predictions and forecasts"""


@router.post("", responses=problems(UnknownPool, NotFound, InvalidRequest, MalformedJson, BodyTooLarge))
def create_forecast(request: ForecastRequest, state: AppState, tenant: Tenant) -> Forecast:
    """Forecast a run that is trained elsewhere from its baseline and its looks so far; nothing is stored."""
    return service.of_request(state.database, tenant, request, state.settings)


@of_fits.get("/{fit_id}/calibration", responses={**problems(NotFound, OldFit), **problems(InvalidRequest)})
def get_calibration(
    state: AppState,
    tenant: Tenant,
    fit_id: str,
    level: Annotated[list[Level] | None, Query(max_length=8, description="0.5, 0.8 and 0.95 unless named")] = None,
) -> Calibration:
    """Get how the predictions turned out whose outcomes this fit knows, and forecasts of its finished runs."""
    with state.database.read() as session:
        fit = fits.get(session, tenant, fit_id)
        return calibration(session, fit, sorted(set(level or [0.5, 0.8, 0.95])))
