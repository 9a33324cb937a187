"""GET /v1/fits."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.dependencies import AppState, ReadSession, Tenant
from service.fits import repository, service
from service.fits.schemas import FitOut, fit_out
from service.kit.errors import NotFound
from service.kit.problems import problems

router = APIRouter(prefix="/fits", tags=["fits"])


@router.get("/current", responses={304: {"description": "The ETag sent in If-None-Match is current."}})
def current_fit(
    request: Request,
    response: Response,
    state: AppState,
    tenant: Tenant,
    pool: Annotated[str, Query(max_length=64, pattern=r"^[a-z0-9][a-z0-9_.-]*$")] = "default",
) -> FitOut | None:
    """Get the law of all that a pool holds now; it is fitted first if need be."""
    with state.database.read() as session:
        fit = service.find_current(session, tenant, pool)
        shown = fit_out(fit) if fit is not None else None
    if shown is None:
        with state.database.write() as session:
            shown = fit_out(service.current(session, tenant, pool).fit)
    response.headers["ETag"] = f'"{shown.id}"'
    if request.headers.get("if-none-match") == f'"{shown.id}"':
        response.status_code = 304
        return None
    return shown


@router.get("/{fit_id}", responses=problems(NotFound))
def get_fit(session: ReadSession, tenant: Tenant, fit_id: str) -> FitOut:
    """Get one version of the law."""
    fit = repository.get(session, tenant, fit_id)
    if fit is None:
        raise NotFound(f"There is no fit {fit_id[:80]!r}.")
    return fit_out(fit)
