"""POST and GET /v1/predictions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.concurrency import run_in_threadpool

from gapcast.contract.base import Page
from gapcast.contract.events import EventPage
from gapcast.contract.predictions import PredictionOut, PredictionRequest
from service.dependencies import AppState, State, Tenant
from service.errors import TooManyJobs, UnknownModel, UnknownPool, UnknownTask
from service.events.stream import Follow, Subject, answer_events
from service.kit.errors import BodyTooLarge, Conflict, IdempotencyMismatch, InvalidRequest, MalformedJson, NotFound
from service.kit.idempotency import IdempotencyKey, body_hash
from service.kit.pagination import PageRequest, page_request
from service.kit.problems import problems
from service.kit.waiting import Prefer, preferred_wait, wait_until
from service.predictions import repository, service

router = APIRouter(prefix="/predictions", tags=["predictions"])

LIVE = {"queued", "running"}


def _read(state: State, tenant: str, prediction_id: str) -> PredictionOut:
    with state.database.read() as session:
        row = repository.get(session, tenant, prediction_id)
        if row is None:
            raise service.missing(prediction_id)
        return service.show(*row)


def _ended(shown: PredictionOut) -> bool:
    return shown.status not in LIVE


@router.post(
    "",
    status_code=202,
    responses={
        200: {"model": PredictionOut, "description": "Answered at once, or within the time of `Prefer: wait`."},
        **problems(
            UnknownModel,
            UnknownTask,
            UnknownPool,
            IdempotencyMismatch,
            InvalidRequest,
            MalformedJson,
            BodyTooLarge,
            TooManyJobs,
        ),
    },
)
async def create_prediction(
    request: PredictionRequest,
    response: Response,
    state: AppState,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> PredictionOut:
    """Ask what an OPSD run would gain."""
    idempotency = None
    if idempotency_key is not None:
        idempotency = (idempotency_key, body_hash("/v1/predictions", request.model_dump_json()))

    def store() -> tuple[str, list[str]]:
        law = service.law_for(state.database, tenant, request, state.settings)
        with state.database.write() as session:
            made = service.create(session, tenant, request, law, state.settings, idempotency)
        state.dispatcher.wake(made[1])
        return made

    prediction_id, _ = await run_in_threadpool(store)
    seconds = preferred_wait(prefer)
    shown = await wait_until(lambda: _read(state, tenant, prediction_id), _ended, seconds)
    response.headers["Location"] = f"/v1/predictions/{prediction_id}"
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds:.0f}"
    if _ended(shown):
        response.status_code = 200
    else:
        response.headers["Retry-After"] = "1"
    return shown


@router.get("")
def list_predictions(
    state: AppState, tenant: Tenant, page: Annotated[PageRequest, Depends(page_request)]
) -> Page[PredictionOut]:
    """List predictions, newest first."""
    with state.database.read() as session:
        rows = repository.page(session, tenant, page)
        return Page.of([service.show(*row) for row in rows], page.limit)


@router.get("/{prediction_id}", responses=problems(NotFound))
async def get_prediction(
    prediction_id: str,
    state: AppState,
    tenant: Tenant,
    prefer: Prefer = None,
) -> PredictionOut:
    """Get one prediction; with `Prefer: wait=N`, once it has ended or the time is over."""
    return await wait_until(lambda: _read(state, tenant, prediction_id), _ended, preferred_wait(prefer))


@router.post("/{prediction_id}/cancel", responses=problems(NotFound, Conflict))
def cancel_prediction(prediction_id: str, state: AppState, tenant: Tenant) -> PredictionOut:
    """Cancel a prediction that has not ended."""
    with state.database.write() as session:
        service.cancel(session, tenant, prediction_id)
    return _read(state, tenant, prediction_id)


@router.get("/{prediction_id}/events", response_model=EventPage, responses=problems(NotFound))
async def prediction_events(
    prediction_id: str, state: AppState, tenant: Tenant, follow: Follow
) -> Response | EventPage:
    """Follow a prediction: a JSON page of events, or with `Accept: text/event-stream` a stream that ends with it."""

    def look() -> Subject:
        with state.database.read() as session:
            row = repository.get(session, tenant, prediction_id)
            if row is None:
                raise service.missing(prediction_id)
            prediction, job = row
            subjects = [prediction.id, *([prediction.job_id] if prediction.job_id else [])]
            return Subject(tenant, subjects, ended=service.status_of(prediction, job) not in LIVE)

    return await answer_events(state.database, look, follow)
