"""/v1/external_runs: runs that are trained elsewhere, forecast after each look, and stored at their end."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from gapcast.contract.base import Page
from gapcast.contract.external_runs import ExternalRunOut, ExternalRunRequest, ReportedLooks, RunEnd
from gapcast.contract.lists import ExternalRunQuery
from service.dependencies import AppState, State, Tenant
from service.errors import ObservationConflict, OldFit, UnknownPool
from service.external_runs import living, service
from service.external_runs.presenting import run_out
from service.kit.accepted import idempotency_of
from service.kit.errors import BodyTooLarge, Conflict, IdempotencyMismatch, InvalidRequest, MalformedJson, NotFound
from service.kit.idempotency import IdempotencyKey
from service.kit.problems import problems
from service.kit.threads import writes

router = APIRouter(prefix="/external_runs", tags=["external_runs"])

PATH = "/v1/external_runs"


def _shown(state: State, tenant: str, run_id: str) -> ExternalRunOut:
    return living.shown(state.database, tenant, run_id, state.settings)


@router.post(
    "",
    status_code=201,
    responses={
        200: {"model": ExternalRunOut, "description": "The run was there under its external_id."},
        **problems(
            *(NotFound, Conflict, UnknownPool, IdempotencyMismatch, InvalidRequest, MalformedJson, BodyTooLarge),
        ),
    },
)
@writes
def create_external_run(
    request: ExternalRunRequest,
    response: Response,
    state: AppState,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
) -> ExternalRunOut:
    """Begin to report a run that is trained elsewhere."""
    idempotency = idempotency_of(PATH, idempotency_key, request)
    with state.database.write() as session:
        run_id, is_new = service.create(session, tenant, request, state.settings, idempotency)
    response.headers["Location"] = f"{PATH}/{run_id}"
    response.status_code = 201 if is_new else 200
    return _shown(state, tenant, run_id)


@router.get("", responses=problems(InvalidRequest))
def list_external_runs(
    state: AppState, tenant: Tenant, wanted: Annotated[ExternalRunQuery, Query()]
) -> Page[ExternalRunOut]:
    """List external runs, newest first, without their forecasts; GET /v1/external_runs/{id} has them."""
    with state.database.read() as session:
        return Page.of([run_out(row) for row in service.page(session, tenant, wanted)], wanted.limit)


@router.get("/{run_id}", responses=problems(NotFound, OldFit))
def get_external_run(run_id: str, state: AppState, tenant: Tenant) -> ExternalRunOut:
    """Get one external run with its forecast, and with what its stopping rule says after the newest look."""
    return _shown(state, tenant, run_id)


@router.post("/{run_id}/looks", responses=problems(NotFound, Conflict, InvalidRequest, MalformedJson, BodyTooLarge))
@writes
def append_looks(run_id: str, looks: ReportedLooks, state: AppState, tenant: Tenant) -> ExternalRunOut:
    """Append one look or several, and get the forecast and the ruling; looks that are stored already change nothing."""
    with state.database.write() as session:
        service.append(session, tenant, run_id, looks.looks)
    living.rule(state.database, tenant, run_id, state.settings)
    return _shown(state, tenant, run_id)


@router.post(
    "/{run_id}/end",
    responses=problems(NotFound, Conflict, ObservationConflict, InvalidRequest, MalformedJson, BodyTooLarge),
)
@writes
def end_external_run(run_id: str, end: RunEnd, state: AppState, tenant: Tenant) -> ExternalRunOut:
    """End a run: its last look is its outcome, and an observation with its curve goes into its pool."""
    pilot = living.pilot(state.database, tenant, run_id, state.settings) if end.stopped else None
    with state.database.write() as session:
        service.end(session, tenant, run_id, end, pilot, state.settings)
    state.refitter.wake()
    return _shown(state, tenant, run_id)


@router.post("/{run_id}/cancel", responses=problems(NotFound, Conflict))
@writes
def cancel_external_run(run_id: str, state: AppState, tenant: Tenant) -> ExternalRunOut:
    """End a run without an observation; its looks are kept."""
    with state.database.write() as session:
        service.cancel(session, tenant, run_id)
    return _shown(state, tenant, run_id)


@router.delete("/{run_id}", status_code=204, responses=problems(NotFound, Conflict))
@writes
def delete_external_run(run_id: str, state: AppState, tenant: Tenant) -> None:
    """Remove a run that has ended, with its looks; its observation stays."""
    with state.database.write() as session:
        service.remove(session, tenant, run_id)
