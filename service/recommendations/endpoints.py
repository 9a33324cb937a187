"""/v1/recommendations: what to probe and what to train with a budget."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from gapcast.contract.base import Page
from gapcast.contract.events import EventPage
from gapcast.contract.lists import RecommendationQuery
from gapcast.contract.recommendations import RecommendationOut, RecommendationRequest
from service.dependencies import AppState, State, Tenant
from service.errors import TooManyJobs, UnknownModel, UnknownPool, UnknownTask
from service.events.stream import OF_EVENTS, Follow, Subject, answer_events
from service.kit.accepted import accepted, idempotency_of, when_ended
from service.kit.errors import BodyTooLarge, Conflict, IdempotencyMismatch, InvalidRequest, MalformedJson, NotFound
from service.kit.idempotency import IdempotencyKey
from service.kit.problems import problems
from service.kit.threads import writes
from service.kit.waiting import Prefer
from service.recommendations import service

router = APIRouter(prefix="/recommendations", tags=["recommendations"])

PATH = "/v1/recommendations"


def _read(state: State, tenant: str, recommendation_id: str) -> RecommendationOut:
    with state.database.read() as session:
        return service.found(session, tenant, recommendation_id)


def _ended(state: State, tenant: str, recommendation_id: str) -> bool:
    with state.database.read() as session:
        return service.state_of(session, tenant, recommendation_id).ended


@router.post(
    "",
    status_code=202,
    responses={
        201: {"model": RecommendationOut, "description": "A plan that is not to be executed."},
        200: {"model": RecommendationOut, "description": "Executed within the time of `Prefer: wait`."},
        **problems(
            *(UnknownModel, UnknownTask, UnknownPool, IdempotencyMismatch, InvalidRequest, MalformedJson),
            *(BodyTooLarge, TooManyJobs),
        ),
    },
)
async def create_recommendation(
    request: RecommendationRequest,
    response: Response,
    state: AppState,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> RecommendationOut:
    """Plan what to probe and what to train with a budget; with `execute`, start it and follow it as one resource."""
    idempotency = idempotency_of(PATH, idempotency_key, request)

    def store() -> str:
        advised = service.plan(state.database, tenant, request, state.settings)
        with state.database.write() as session:
            return service.create(session, tenant, request, advised, state.settings, idempotency)

    shown = await accepted(response, PATH, store, partial(_read, state, tenant), partial(_ended, state, tenant), prefer)
    if not request.execute:
        response.status_code = 201
    return shown


@router.get("", responses=problems(InvalidRequest))
def list_recommendations(
    state: AppState, tenant: Tenant, wanted: Annotated[RecommendationQuery, Query()]
) -> Page[RecommendationOut]:
    """List recommendations, newest first."""
    with state.database.read() as session:
        return service.page(session, tenant, wanted)


@router.get("/{recommendation_id}", responses=problems(NotFound))
async def get_recommendation(
    recommendation_id: str, state: AppState, tenant: Tenant, prefer: Prefer = None
) -> RecommendationOut:
    """Get one recommendation; with `Prefer: wait=N`, once it has ended or the time is over."""
    return await when_ended(
        partial(_read, state, tenant, recommendation_id), partial(_ended, state, tenant, recommendation_id), prefer
    )


@router.post("/{recommendation_id}/cancel", responses=problems(NotFound, Conflict))
@writes
def cancel_recommendation(recommendation_id: str, state: AppState, tenant: Tenant) -> RecommendationOut:
    """Cancel a plan that is executed, and everything that it has started; what was measured stays."""
    with state.database.write() as session:
        service.cancel(session, tenant, recommendation_id, state.settle)
    return _read(state, tenant, recommendation_id)


@router.get("/{recommendation_id}/events", response_model=EventPage, responses=OF_EVENTS)
async def recommendation_events(
    recommendation_id: str, state: AppState, tenant: Tenant, follow: Follow
) -> Response | EventPage:
    """Follow a plan and everything that it starts: a JSON page, or with `Accept: text/event-stream` a stream."""

    def look() -> Subject:
        with state.database.read() as session:
            at = service.state_of(session, tenant, recommendation_id)
            return Subject(tenant, at.subjects, at.ended)

    return await answer_events(state, look, follow)
