"""POST and GET /v1/predictions."""

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from fastapi.concurrency import run_in_threadpool

from service.dependencies import AppState, ReadSession, State, Tenant
from service.errors import TooManyJobs, UnknownModel, UnknownPool, UnknownTask
from service.events.stream import EventPage, Subject, event_page, event_stream, wants_stream
from service.kit.errors import BodyTooLarge, Conflict, IdempotencyMismatch, InvalidRequest, MalformedJson, NotFound
from service.kit.idempotency import IdempotencyKey, body_hash
from service.kit.pagination import Page, PageRequest, page_of, page_request
from service.kit.problems import problems
from service.predictions import repository, service
from service.predictions.schemas import PredictionOut, PredictionRequest

router = APIRouter(prefix="/predictions", tags=["predictions"])

LIVE = {"queued", "running"}
MAX_WAIT = 60
"""seconds; what `Prefer: wait` is cut to"""
POLL = 0.2
"""seconds between two looks at a prediction that somebody waits for"""


def preferred_wait(prefer: str | None) -> float:
    """Seconds of `Prefer: wait=N` (RFC 7240), cut to 60; a preference that is no number is ignored."""
    for part in (prefer or "").split(","):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "wait" and re.fullmatch("[0-9]{1,9}", value.strip()):
            return min(int(value.strip()), MAX_WAIT)
    return 0


def _read(state: State, tenant: str, prediction_id: str) -> PredictionOut:
    with state.database.read() as session:
        row = repository.get(session, tenant, prediction_id)
        if row is None:
            raise service.missing(prediction_id)
        return service.show(*row)


async def _wait(state: State, tenant: str, prediction_id: str, seconds: float) -> PredictionOut:
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        shown = await run_in_threadpool(_read, state, tenant, prediction_id)
        if shown.status not in LIVE or asyncio.get_running_loop().time() >= deadline:
            return shown
        await asyncio.sleep(POLL)


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
    prefer: Annotated[str | None, Header(description="`wait=N` waits up to N seconds (at most 60)")] = None,
) -> PredictionOut:
    """Ask what an OPSD run would gain."""
    idempotency = None
    if idempotency_key is not None:
        idempotency = (idempotency_key, body_hash("/v1/predictions", request.model_dump_json()))

    def store() -> tuple[str, list[str]]:
        with state.database.write() as session:
            made = service.create(session, tenant, request, state.settings.max_queued_jobs, idempotency)
        state.dispatcher.wake(made[1])
        return made

    prediction_id, _ = await run_in_threadpool(store)
    seconds = preferred_wait(prefer)
    shown = await _wait(state, tenant, prediction_id, seconds)
    response.headers["Location"] = f"/v1/predictions/{prediction_id}"
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds:.0f}"
    if shown.status in LIVE:
        response.headers["Retry-After"] = "1"
    else:
        response.status_code = 200
    return shown


@router.get("")
def list_predictions(
    session: ReadSession, tenant: Tenant, page: Annotated[PageRequest, Depends(page_request)]
) -> Page[PredictionOut]:
    """List predictions, newest first."""
    rows = repository.page(session, tenant, page)
    return page_of([service.show(*row) for row in rows], page.limit)


@router.get("/{prediction_id}", responses=problems(NotFound))
async def get_prediction(
    prediction_id: str,
    state: AppState,
    tenant: Tenant,
    prefer: Annotated[str | None, Header(description="`wait=N` waits up to N seconds (at most 60)")] = None,
) -> PredictionOut:
    """Get one prediction; with `Prefer: wait=N`, once it has ended or the time is over."""
    return await _wait(state, tenant, prediction_id, preferred_wait(prefer))


@router.post("/{prediction_id}/cancel", responses=problems(NotFound, Conflict))
def cancel_prediction(prediction_id: str, state: AppState, tenant: Tenant) -> PredictionOut:
    """Cancel a prediction that has not ended."""
    with state.database.write() as session:
        service.cancel(session, tenant, prediction_id)
    return _read(state, tenant, prediction_id)


@router.get("/{prediction_id}/events", response_model=EventPage, responses=problems(NotFound))
async def prediction_events(
    prediction_id: str,
    state: AppState,
    tenant: Tenant,
    accept: Annotated[str, Header()] = "application/json",
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    after: str | None = None,
    limit: int = 100,
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

    subject = await run_in_threadpool(look)
    if wants_stream(accept):
        return event_stream(state.database, look, last_event_id or after)
    return await run_in_threadpool(event_page, state.database, subject, after, limit)
