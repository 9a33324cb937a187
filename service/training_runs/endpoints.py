"""/v1/training_runs: OPSD runs, whose ends are observations."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from gapcast.contract.base import Page
from gapcast.contract.events import EventPage
from gapcast.contract.forecasts import Forecast
from gapcast.contract.lists import PageQuery, TrainingRunQuery
from gapcast.contract.training import TrainingRunRequest
from gapcast.contract.training_results import CheckpointOut, TrainingRunOut
from service.dependencies import AppState, State, Tenant
from service.errors import DuplicateRun, NoLooks, OldFit, TooManyJobs, UnknownModel, UnknownTask
from service.events.stream import OF_EVENTS, Follow, Subject, answer_events
from service.forecasts import service as forecasts
from service.kit.accepted import idempotency_of, when_ended
from service.kit.errors import BodyTooLarge, Conflict, IdempotencyMismatch, InvalidRequest, MalformedJson, NotFound
from service.kit.idempotency import IdempotencyKey
from service.kit.problems import problems
from service.kit.threads import reads, writes
from service.kit.waiting import Prefer
from service.training_runs import service

router = APIRouter(prefix="/training_runs", tags=["training_runs"])


def _read(state: State, tenant: str, run_id: str) -> TrainingRunOut:
    with state.database.read() as session:
        return service.found(session, tenant, run_id)


@router.post(
    "",
    status_code=202,
    responses=problems(
        *(UnknownModel, UnknownTask, NotFound, IdempotencyMismatch, InvalidRequest, MalformedJson),
        *(DuplicateRun, BodyTooLarge, TooManyJobs),
    ),
)
@writes
def create_training_runs(
    request: TrainingRunRequest,
    response: Response,
    state: AppState,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
) -> TrainingRunOut | Page[TrainingRunOut]:
    """Train a prediction's configuration, or one that is sent: one run for each seed, and a list for several seeds."""
    idempotency = idempotency_of("/v1/training_runs", idempotency_key, request)
    with state.database.write() as session:
        subject = service.create(session, tenant, request, state.settings, idempotency)
    with state.database.read() as session:
        shown = service.answer(session, tenant, subject)
    several = isinstance(shown, Page)
    response.headers["Location"] = f"/v1/training_runs{'?group_id=' if several else '/'}{subject}"
    response.headers["Retry-After"] = "1"
    return shown


@router.get("", responses=problems(InvalidRequest))
@reads
def list_training_runs(
    state: AppState, tenant: Tenant, wanted: Annotated[TrainingRunQuery, Query()]
) -> Page[TrainingRunOut]:
    """List training runs, newest first, without their evaluations; GET /v1/training_runs/{id} has them."""
    with state.database.read() as session:
        return service.page(session, tenant, wanted)


@router.get("/{run_id}", responses=problems(NotFound))
async def get_training_run(run_id: str, state: AppState, tenant: Tenant, prefer: Prefer = None) -> TrainingRunOut:
    """Get one training run; with `Prefer: wait=N`, once it has ended or put itself aside, or the time is over."""

    def ended() -> bool:
        with state.database.read() as session:
            return service.state_of(session, tenant, run_id).rests

    return await when_ended(partial(_read, state, tenant, run_id), ended, prefer)


@router.get("/{run_id}/forecast", responses=problems(NotFound, NoLooks, OldFit))
def get_forecast(run_id: str, state: AppState, tenant: Tenant) -> Forecast:
    """Get where a run is expected to end, now and after each of its evaluations so far."""
    return forecasts.of_run(state.database, tenant, _read(state, tenant, run_id), state.settings)


@router.get("/{run_id}/checkpoints", responses=problems(NotFound, InvalidRequest))
def list_checkpoints(
    run_id: str, state: AppState, tenant: Tenant, page: Annotated[PageQuery, Query()]
) -> Page[CheckpointOut]:
    """List the checkpoints that a run has published, newest first; older folders may be gone."""
    with state.database.read() as session:
        return service.checkpoints(session, tenant, run_id, page)


@router.post("/{run_id}/cancel", responses=problems(NotFound, Conflict))
@writes
def cancel_training_run(run_id: str, state: AppState, tenant: Tenant) -> TrainingRunOut:
    """Cancel a run that has not ended; its measurements are kept, its checkpoints are not."""
    with state.database.write() as session:
        service.cancel(session, tenant, run_id)
    return _read(state, tenant, run_id)


@router.post("/{run_id}/pause", responses=problems(NotFound, Conflict))
@writes
def pause_training_run(run_id: str, state: AppState, tenant: Tenant) -> TrainingRunOut:
    """Pause a run: it writes a checkpoint and leaves its worker until it is resumed."""
    with state.database.write() as session:
        service.pause(session, tenant, run_id)
    return _read(state, tenant, run_id)


@router.post("/{run_id}/resume", responses=problems(NotFound, Conflict, TooManyJobs))
@writes
def resume_training_run(run_id: str, state: AppState, tenant: Tenant) -> TrainingRunOut:
    """Queue a paused run; it goes on from its last checkpoint, and to its end if it had put itself aside."""
    with state.database.write() as session:
        service.resume(session, tenant, run_id, state.settings)
    return _read(state, tenant, run_id)


@router.get("/{run_id}/events", response_model=EventPage, responses=OF_EVENTS)
async def training_run_events(run_id: str, state: AppState, tenant: Tenant, follow: Follow) -> Response | EventPage:
    """Follow a training run: a JSON page of events, or with `Accept: text/event-stream` a stream that ends with it."""

    def look() -> Subject:
        with state.database.read() as session:
            at = service.state_of(session, tenant, run_id)
            return Subject(tenant, [run_id, at.job_id], at.rests)

    return await answer_events(state, look, follow)
