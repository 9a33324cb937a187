"""/v1/comparisons: which of several configurations to train."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from gapcast.contract.base import Page
from gapcast.contract.comparisons import ComparisonOut, ComparisonRequest
from gapcast.contract.events import EventPage
from gapcast.contract.lists import ComparisonQuery
from service.comparisons import service
from service.dependencies import AppState, State, Tenant
from service.errors import TooManyJobs, UnknownModel, UnknownPool, UnknownTask
from service.events.stream import OF_EVENTS, Follow, Subject, answer_events
from service.kit.accepted import accepted, idempotency_of, when_ended
from service.kit.errors import BodyTooLarge, Conflict, IdempotencyMismatch, InvalidRequest, MalformedJson, NotFound
from service.kit.idempotency import IdempotencyKey
from service.kit.problems import problems
from service.kit.threads import reads, writes
from service.kit.waiting import Prefer

router = APIRouter(prefix="/comparisons", tags=["comparisons"])

PATH = "/v1/comparisons"


def _read(state: State, tenant: str, comparison_id: str) -> ComparisonOut:
    with state.database.read() as session:
        return service.found(session, tenant, comparison_id)


def _ended(state: State, tenant: str, comparison_id: str) -> bool:
    with state.database.read() as session:
        return service.state_of(session, tenant, comparison_id).ended


@router.post(
    "",
    status_code=202,
    responses={
        200: {"model": ComparisonOut, "description": "Ended within the time of `Prefer: wait`."},
        **problems(
            *(UnknownModel, UnknownTask, UnknownPool, NotFound, IdempotencyMismatch, InvalidRequest, MalformedJson),
            *(BodyTooLarge, TooManyJobs),
        ),
    },
)
async def create_comparison(
    request: ComparisonRequest,
    response: Response,
    state: AppState,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> ComparisonOut:
    """Find out which of several configurations gains most: problems go to those that are still in question."""
    idempotency = idempotency_of(PATH, idempotency_key, request)

    def store() -> str:
        contest = service.prepare(state.database, tenant, request, state.settings, idempotency)
        with state.database.write() as session:
            return service.create(session, tenant, request, contest, state.settings, idempotency)

    return await accepted(response, PATH, store, partial(_read, state, tenant), partial(_ended, state, tenant), prefer)


@router.get("", responses=problems(InvalidRequest))
@reads
def list_comparisons(
    state: AppState, tenant: Tenant, wanted: Annotated[ComparisonQuery, Query()]
) -> Page[ComparisonOut]:
    """List comparisons, newest first: of each the newest round, and of the answers the winner's."""
    with state.database.read() as session:
        return service.page(session, tenant, wanted)


@router.get("/{comparison_id}", responses=problems(NotFound))
async def get_comparison(comparison_id: str, state: AppState, tenant: Tenant, prefer: Prefer = None) -> ComparisonOut:
    """Get one comparison; with `Prefer: wait=N`, once it has ended or the time is over."""
    return await when_ended(
        partial(_read, state, tenant, comparison_id), partial(_ended, state, tenant, comparison_id), prefer
    )


@router.post("/{comparison_id}/cancel", responses=problems(NotFound, Conflict))
@writes
def cancel_comparison(comparison_id: str, state: AppState, tenant: Tenant) -> ComparisonOut:
    """Cancel a comparison that has not ended; its rounds stay."""
    with state.database.write() as session:
        service.cancel(session, tenant, comparison_id, state.settle)
    return _read(state, tenant, comparison_id)


@router.get("/{comparison_id}/events", response_model=EventPage, responses=OF_EVENTS)
async def comparison_events(
    comparison_id: str, state: AppState, tenant: Tenant, follow: Follow
) -> Response | EventPage:
    """Follow a comparison: a JSON page of events, or with `Accept: text/event-stream` a stream that ends with it."""

    def look() -> Subject:
        with state.database.read() as session:
            at = service.state_of(session, tenant, comparison_id)
            return Subject(tenant, [comparison_id, *at.job_ids], at.ended)

    return await answer_events(state, look, follow)
