"""/v1/observations: past runs in and out, one by one and as tables."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from gapcast.contract.base import POOL_PATTERN, Listing, Page
from gapcast.contract.observations import BatchIn, BatchOut, ObservationOut, ObservationPatch, PoolOut
from service.dependencies import AppState, Tenant
from service.errors import InvalidFile, ObservationConflict, UnknownPool
from service.kit.errors import (
    BodyTooLarge,
    Conflict,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    UnsupportedMediaType,
)
from service.kit.idempotency import IdempotencyKey, body_hash, claim_key, find_key, remember
from service.kit.ids import new_id
from service.kit.openapi import OpenApi, inlined
from service.kit.pagination import PageRequest, page_request
from service.kit.problems import problems
from service.observations import formats, service
from service.observations.columns import columns
from service.observations.formats import MEDIA_TYPES, Format
from service.observations.presenting import observation_out, pool_out
from service.observations.repository import Filter

router = APIRouter(prefix="/observations", tags=["observations"])
pools_router = APIRouter(prefix="/pools", tags=["observations"])

Name = Annotated[str | None, Query(max_length=255)]


async def filters(
    pool: Annotated[str | None, Query(max_length=64)] = None,
    family: Name = None,
    task: Name = None,
    model: Name = None,
    context_kind: Name = None,
    source: Name = None,
    version: Name = None,
    external_id: Name = None,
    prediction_id: Name = None,
    excluded: bool | None = None,
    collapsed: bool | None = None,
) -> Filter:
    """Read a filter from the query."""
    return Filter(
        pool, family, task, model, context_kind, source, version, external_id, prediction_id, excluded, collapsed
    )


Wanted = Annotated[Filter, Depends(filters)]

_TABLE = {"schema": {"type": "string", "format": "binary", "description": f"columns: {', '.join(columns())}"}}
_BODY: OpenApi = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": inlined(BatchIn)},
            **{media: _TABLE for form, media in MEDIA_TYPES.items() if form != "json"},
        },
    }
}


@router.post(
    "",
    status_code=201,
    response_model=BatchOut,
    openapi_extra=_BODY,
    responses={
        200: {"model": BatchOut, "description": "All rows were stored already."},
        **problems(
            *(InvalidFile, InvalidRequest, ObservationConflict, IdempotencyMismatch),
            *(UnsupportedMediaType, BodyTooLarge),
        ),
    },
)
async def create_observations(
    request: Request,
    response: Response,
    state: AppState,
    tenant: Tenant,
    pool: Annotated[
        str | None, Query(pattern=POOL_PATTERN, description="where all rows go; null: where each says")
    ] = None,
    idempotency_key: IdempotencyKey = None,
    content_type: Annotated[str, Header()] = "",
) -> BatchOut:
    """Store past runs: all rows of the body, or none of them.

    The body is JSON (`{"observations": [...]}`), NDJSON, CSV or Parquet, by its Content-Type.
    """
    form = formats.format_of(content_type)
    if form is None:
        raise UnsupportedMediaType.of(content_type, *MEDIA_TYPES.values())
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("Content-Encoding: send the body as it is.", param="Content-Encoding")
    body = await request.body()

    def take() -> BatchOut:
        hashed = body_hash(f"/v1/observations?pool={pool}", hashlib.sha256(body).hexdigest())
        if idempotency_key is not None:  # before the work of reading the body again
            with state.database.read() as session:
                known = find_key(session, tenant, idempotency_key, hashed)
                if known is not None:
                    return BatchOut.model_validate(known.response)
        rows = service.check(formats.read(body, form), pool)
        with state.database.write() as session:
            if idempotency_key is None:
                return service.store(session, tenant, rows)
            batch_id = new_id("batch")
            if claim_key(session, tenant, idempotency_key, hashed, batch_id) != batch_id:
                again = find_key(session, tenant, idempotency_key, hashed)
                return BatchOut.model_validate(again.response if again is not None else None)
            stored = service.store(session, tenant, rows)
            remember(session, tenant, idempotency_key, stored.model_dump(mode="json"))
            return stored

    stored = await run_in_threadpool(take)
    state.refitter.wake()
    response.status_code = 201 if stored.created else 200
    return stored


@router.get("", responses=problems(UnknownPool))
def list_observations(
    state: AppState, tenant: Tenant, page: Annotated[PageRequest, Depends(page_request)], wanted: Wanted
) -> Page[ObservationOut]:
    """List observations, newest first."""
    with state.database.read() as session:
        rows = service.page(session, tenant, wanted, page)
        return Page.of([observation_out(row) for row in rows], page.limit)


@router.get(
    "/export",
    response_class=Response,
    responses={
        200: {"content": {media: {} for media in MEDIA_TYPES.values()}, "description": "The rows as a file."},
        **problems(UnknownPool),
    },
)
def export_observations(
    state: AppState,
    tenant: Tenant,
    wanted: Wanted,
    form: Annotated[Format, Query(alias="format")] = "csv",
) -> StreamingResponse:
    """Get all rows that the filter names as a file that can be imported again, to the same fit."""
    return StreamingResponse(
        formats.write(service.export(state.database, tenant, wanted), form),
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="observations.{form}"'},
    )


@router.get("/{observation_id}", responses=problems(NotFound))
def get_observation(state: AppState, tenant: Tenant, observation_id: str) -> ObservationOut:
    """Get one observation."""
    with state.database.read() as session:
        return observation_out(service.find(session, tenant, observation_id))


@router.patch("/{observation_id}", responses=problems(NotFound, InvalidRequest, Conflict))
def patch_observation(state: AppState, tenant: Tenant, observation_id: str, patch: ObservationPatch) -> ObservationOut:
    """Exclude an observation from its pool's fits, with a reason, or take it back; or name its prediction, once.

    Nothing else of an observation ever changes.
    """
    with state.database.write() as session:
        service.change(session, tenant, observation_id, patch)
        shown = observation_out(service.find(session, tenant, observation_id))
    state.refitter.wake()
    return shown


@pools_router.get("")
def list_pools(state: AppState, tenant: Tenant) -> Listing[PoolOut]:
    """List the pools, by name."""
    with state.database.read() as session:
        return Listing(data=[pool_out(row) for row in service.pools(session, tenant)])
