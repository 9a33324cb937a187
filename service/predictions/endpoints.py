"""POST and GET /v1/predictions."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from fastapi.concurrency import run_in_threadpool

from gapcast.contract.base import Page
from gapcast.contract.events import EventPage
from gapcast.contract.lists import PredictionQuery
from gapcast.contract.predictions import PredictionAnswer, PredictionBody, PredictionList, PredictionOut
from service.dependencies import AppState, State, Tenant
from service.errors import TooManyJobs, UnknownModel, UnknownPool, UnknownTask
from service.events.stream import OF_EVENTS, Follow, Subject, answer_events
from service.kit.accepted import accepted, idempotency_of, when_ended
from service.kit.errors import BodyTooLarge, Conflict, IdempotencyMismatch, InvalidRequest, MalformedJson, NotFound
from service.kit.idempotency import IdempotencyKey
from service.kit.problems import problems
from service.kit.threads import reads, writes
from service.kit.waiting import Prefer
from service.predictions import service

router = APIRouter(prefix="/predictions", tags=["predictions"])

PATH = "/v1/predictions"


def _read(state: State, tenant: str, prediction_id: str) -> PredictionOut:
    with state.database.read() as session:
        return service.found(session, tenant, prediction_id)


def _ended(state: State, tenant: str, prediction_id: str) -> bool:
    with state.database.read() as session:
        return service.state_of(session, tenant, prediction_id).ended


@router.post(
    "",
    status_code=202,
    response_model=PredictionAnswer,
    responses={
        200: {
            "model": PredictionAnswer,
            "description": "Answered at once, or within the time of `Prefer: wait`; of a list all are.",
        },
        **problems(
            UnknownModel,
            UnknownTask,
            UnknownPool,
            NotFound,
            IdempotencyMismatch,
            InvalidRequest,
            MalformedJson,
            BodyTooLarge,
            TooManyJobs,
        ),
    },
)
async def create_prediction(
    request: Annotated[PredictionBody, Body()],
    response: Response,
    state: AppState,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> PredictionOut | PredictionList:
    """Ask what an OPSD run would gain, or each run of a list: all of its predictions are stored, or none."""
    idempotency = idempotency_of(PATH, idempotency_key, request)
    if isinstance(request, list):

        def store_all() -> list[str]:
            asked = service.prepare_all(state.database, tenant, request, state.settings, idempotency)
            with state.database.write() as session:
                return service.create_all(session, tenant, asked, state.settings, idempotency)

        def read_all(ids: list[str]) -> PredictionList:
            with state.database.read() as session:
                return service.found_all(session, tenant, ids)

        def all_ended(ids: list[str]) -> bool:
            with state.database.read() as session:
                return service.all_ended(session, tenant, ids)

        return await accepted(response, None, store_all, read_all, all_ended, prefer)

    # where others read, in turn with them; what has to wait for a fit does so where others write
    given = state.database, tenant, request, state.settings, idempotency
    known = await run_in_threadpool(service.prepare_at_once, *given)
    shown: dict[str, PredictionOut] = {}

    def store() -> str:
        asked = known if known is not None else service.prepare(*given)
        with state.database.write() as session:
            created = service.create(session, tenant, asked, state.settings, idempotency)
        if created.shown is not None:
            shown[created.id] = created.shown
        return created.id

    def read(prediction_id: str) -> PredictionOut:
        return shown.get(prediction_id) or _read(state, tenant, prediction_id)

    return await accepted(response, PATH, store, read, partial(_ended, state, tenant), prefer)


@router.get("", responses=problems(UnknownPool, InvalidRequest))
@reads
def list_predictions(
    state: AppState, tenant: Tenant, wanted: Annotated[PredictionQuery, Query()]
) -> Page[PredictionOut]:
    """List predictions, newest first."""
    with state.database.read() as session:
        return service.page(session, tenant, wanted)


@router.get("/{prediction_id}", responses=problems(NotFound))
async def get_prediction(
    prediction_id: str,
    state: AppState,
    tenant: Tenant,
    prefer: Prefer = None,
) -> PredictionOut:
    """Get one prediction; with `Prefer: wait=N`, once it has ended or the time is over."""
    return await when_ended(
        partial(_read, state, tenant, prediction_id), partial(_ended, state, tenant, prediction_id), prefer
    )


@router.post("/{prediction_id}/cancel", responses=problems(NotFound, Conflict))
@writes
def cancel_prediction(prediction_id: str, state: AppState, tenant: Tenant) -> PredictionOut:
    """Cancel a prediction that has not ended."""
    with state.database.write() as session:
        service.cancel(session, tenant, prediction_id)
    return _read(state, tenant, prediction_id)


@router.get("/{prediction_id}/events", response_model=EventPage, responses=OF_EVENTS)
async def prediction_events(
    prediction_id: str, state: AppState, tenant: Tenant, follow: Follow
) -> Response | EventPage:
    """Follow a prediction: a JSON page of events, or with `Accept: text/event-stream` a stream that ends with it."""

    def look() -> Subject:
        with state.database.read() as session:
            at = service.state_of(session, tenant, prediction_id)
            return Subject(tenant, [prediction_id, *([at.job_id] if at.job_id else [])], at.ended)

    return await answer_events(state, look, follow)
