"""/v1/fits: versions of the law, and what can be asked of each."""

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from gapcast.contract.base import POOL_PATTERN, Level, Page
from gapcast.contract.fits import ContextEffects, CurrentFit, Curve, FitOut, FitRequest, FitSummary, Residuals, Scaling
from gapcast.contract.lists import FitQuery, ResidualQuery
from gapcast.contract.recipes import Divergence, Teacher
from service.dependencies import AppState, Tenant
from service.errors import OldFit, UnknownPool
from service.fits import analysis, service
from service.fits.presenting import fit_out, fit_summary
from service.kit.errors import InvalidRequest, NotFound, Unavailable
from service.kit.etags import has_current
from service.kit.problems import problems
from service.kit.threads import writes
from service.kit.waiting import wait_until

router = APIRouter(prefix="/fits", tags=["fits"])

PoolQuery = Annotated[str, Query(pattern=POOL_PATTERN)]
Share = Annotated[float, Query(ge=-1, le=1)]
PATIENCE = 20.0
"""seconds that a question for the current fit waits for one that is being made; in a small pool it takes a second"""


class Shown(NamedTuple):
    """A pool's law, or None where the client has it already, and its ETag."""

    tag: str
    fit: CurrentFit | None


UNCHANGED = {"description": "The ETag sent in If-None-Match is current."}


def _is_known(request: Request, response: Response, tag: str) -> bool:
    """Set the answer's ETag; whether the client has it already."""
    response.headers["ETag"] = f'"{tag}"'
    known = has_current(request, tag)
    if known:
        response.status_code = 304
    return known


@router.get("", responses=problems(UnknownPool, InvalidRequest))
def list_fits(state: AppState, tenant: Tenant, wanted: Annotated[FitQuery, Query()]) -> Page[FitSummary]:
    """List the versions of the law, newest first."""
    with state.database.read() as session:
        return Page.of([fit_summary(fit) for fit in service.page(session, tenant, wanted)], wanted.limit)


@router.post(
    "",
    status_code=201,
    responses={200: {"model": FitOut, "description": "These rows had a fit already."}, **problems(UnknownPool)},
)
@writes
def refit_now(request: FitRequest, response: Response, state: AppState, tenant: Tenant) -> FitOut:
    """Fit a pool now: 201 with a new version, 200 with the one that these rows have already."""
    made = service.refit(state.database, tenant, request.pool)
    with state.database.read() as session:
        shown = fit_out(service.get(session, tenant, made.fit.id))
    response.status_code = 201 if made.is_new else 200
    response.headers["Location"] = f"/v1/fits/{shown.id}"
    return shown


@router.get("/current", responses={304: UNCHANGED, **problems(UnknownPool, Unavailable)})
async def current_fit(
    request: Request, response: Response, state: AppState, tenant: Tenant, pool: PoolQuery = "default"
) -> CurrentFit | None:
    """Get the newest law of a pool; in a pool of at most 5,000 observations it knows every one of them."""

    def read() -> Shown | None:
        with state.database.read() as session:
            found = service.newest(session, tenant, pool)
            if found is None:
                state.refitter.wake()  # a GET writes nothing: the refitter makes the fit that is due
                return None
            tag = f"{found.fit.id}:{found.behind}"
            known = has_current(request, tag)
            return Shown(tag, None if known else CurrentFit(**dict(fit_out(found.fit)), behind=found.behind))

    shown = await run_in_threadpool(read)
    if shown is None:
        shown = await wait_until(read, lambda fit: fit is not None, PATIENCE)
    if shown is None:
        raise Unavailable(f"The law of pool {pool!r} is still being fitted; try again.", headers={"Retry-After": "5"})
    return None if _is_known(request, response, shown.tag) else shown.fit


CAN_FAIL = problems(NotFound, OldFit)


@router.get("/{fit_id}", responses={304: UNCHANGED, **CAN_FAIL})
def get_fit(request: Request, response: Response, state: AppState, tenant: Tenant, fit_id: str) -> FitOut | None:
    """Get one version of the law; it never changes."""
    with state.database.read() as session:
        fit = service.get(session, tenant, fit_id)
        return None if _is_known(request, response, fit.id) else fit_out(fit)


@router.get("/{fit_id}/curve", responses={**CAN_FAIL, **problems(InvalidRequest)})
def get_curve(
    state: AppState,
    tenant: Tenant,
    fit_id: str,
    family: Annotated[str, Query(min_length=1, max_length=255)],
    cell: Annotated[str | None, Query(min_length=1, max_length=600, description="one of the fit's `cells`")] = None,
    teacher: Annotated[Teacher | None, Query(description="null: that of most of the family's runs")] = None,
    divergence: Annotated[Divergence | None, Query(description="with `teacher`; null: unknown")] = None,
    baseline: Annotated[
        float | None, Query(ge=0, le=1, description="student accuracy; null: the median of the family's runs")
    ] = None,
    level: Annotated[Level, Query()] = 0.95,
    first: Share = -0.05,
    last: Share = 0.5,
    points: Annotated[int, Query(ge=2, le=1000)] = 60,
    measurement_se: Annotated[
        float | None, Query(ge=0, le=1, description="noise of the improvement; null: the pool's median, 0: none")
    ] = None,
) -> Curve:
    """Get a family's line with its confidence band, and the prediction band around it, to draw them."""
    if last <= first:
        raise InvalidRequest(f"last: {last} is not above first, {first}.", param="last", value=last)
    with state.database.read() as session:
        fit = service.get(session, tenant, fit_id)
        law = service.law_of(fit)
    if measurement_se is None and fit.summary is None:
        raise OldFit("This fit is from before pools' measurement noise was kept; send measurement_se.")
    usual = (fit.summary.measurement_var if fit.summary is not None else None) or 0.0
    improvement_var = usual if measurement_se is None else measurement_se**2
    if cell is None:
        whose = analysis.Whose.named(family, teacher, divergence)
    elif teacher is None and divergence is None:
        whose = analysis.Whose.of_cell(law, family, cell)
    else:
        raise InvalidRequest("teacher, divergence: `cell` names both; leave them out.", param="teacher")
    band = analysis.Band(first, last, points)
    return analysis.curve(fit, whose, band, level, improvement_var, baseline)


@router.get("/{fit_id}/residuals", responses={**CAN_FAIL, **problems(InvalidRequest)})
def get_residuals(state: AppState, tenant: Tenant, fit_id: str, wanted: Annotated[ResidualQuery, Query()]) -> Residuals:
    """Get each observation against what the others say of it."""
    with state.database.read() as session:
        return analysis.residuals(session, service.get(session, tenant, fit_id), wanted)


@router.get("/{fit_id}/contexts", responses=CAN_FAIL)
def get_contexts(state: AppState, tenant: Tenant, fit_id: str) -> ContextEffects:
    """Get how much contexts of one gap differ, and the effect of each context with stored runs."""
    with state.database.read() as session:
        return analysis.contexts(service.get(session, tenant, fit_id))


@router.get("/{fit_id}/scaling", responses=CAN_FAIL)
def get_scaling(state: AppState, tenant: Tenant, fit_id: str) -> Scaling:
    """Get the slope by model size within each family, and whether the sizes share one."""
    with state.database.read() as session:
        return analysis.scale(session, service.get(session, tenant, fit_id), state.settings.models)
