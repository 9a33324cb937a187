"""/v1/observations: past runs in and out, one by one and as tables."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from gapcast.contract.base import Listing, Page
from gapcast.contract.lists import ObservationExport, ObservationImport, ObservationQuery
from gapcast.contract.observations import BatchIn, BatchOut, ObservationOut, ObservationPatch, PoolIn, PoolOut
from service.dependencies import AppState, Tenant
from service.errors import InvalidFile, ObservationConflict, ReadOnlyPool, UnknownPool
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
from service.kit.problems import problems
from service.kit.threads import in_writing_thread, reads, writes
from service.observations import formats, service
from service.observations.columns import columns
from service.observations.formats import MEDIA_TYPES
from service.observations.presenting import observation_out, pool_out
from service.observations.translation import Translation

router = APIRouter(prefix="/observations", tags=["observations"])
pools_router = APIRouter(prefix="/pools", tags=["observations"])

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
            *(InvalidFile, InvalidRequest, ObservationConflict, ReadOnlyPool, IdempotencyMismatch),
            *(UnsupportedMediaType, BodyTooLarge),
        ),
    },
)
async def create_observations(
    request: Request,
    response: Response,
    state: AppState,
    tenant: Tenant,
    into: Annotated[ObservationImport, Query()],
    idempotency_key: IdempotencyKey = None,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> BatchOut:
    """Store past runs: all rows of the body, or none of them.

    The body is JSON (`{"observations": [...]}`), NDJSON, CSV or Parquet, by its Content-Type.
    """
    form = formats.format_of(content_type)
    if form is None:
        raise UnsupportedMediaType.of(content_type, *MEDIA_TYPES.values())
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType(
            "Content-Encoding: compressed bodies are not read. Send the body without compression.",
            param="Content-Encoding",
        )
    body = await request.body()

    def take() -> BatchOut:
        # these are part of what is asked for: other ones under the same key are another request
        asked = f"pool={into.pool}" + "".join(f"&tag={tag}" for tag in into.tag)
        asked += "".join(f"&map={pair}" for pair in into.map) + "".join(f"&default={pair}" for pair in into.default)
        asked += "&percent=true" if into.percent else ""
        hashed = body_hash(f"/v1/observations?{asked}", hashlib.sha256(body).hexdigest())
        if idempotency_key is not None:  # before the work of reading the body again
            with state.database.read() as session:
                known = find_key(session, tenant, idempotency_key, hashed)
                if known is not None:
                    return BatchOut.model_validate(known.response)
        wanted = Translation(into)
        rows = service.check(formats.read(body, form, wanted), into.pool, into.tag, wanted)

        def store(session: Session) -> BatchOut:
            stored = service.store(session, tenant, rows)
            more = {"warnings": [*wanted.warnings(), *stored.warnings], "unused": wanted.unused}
            return stored.model_copy(update=more)

        with state.database.write() as session:
            if idempotency_key is None:
                return store(session)
            batch_id = new_id("batch")
            if claim_key(session, tenant, idempotency_key, hashed, batch_id) != batch_id:
                again = find_key(session, tenant, idempotency_key, hashed)
                return BatchOut.model_validate(again.response if again is not None else None)
            stored = store(session)
            remember(session, tenant, idempotency_key, stored.model_dump(mode="json"))
            return stored

    stored = await in_writing_thread(take)
    state.refitter.wake()
    response.status_code = 201 if stored.created else 200
    return stored


@router.get("", responses=problems(UnknownPool, InvalidRequest))
@reads
def list_observations(
    state: AppState, tenant: Tenant, wanted: Annotated[ObservationQuery, Query()]
) -> Page[ObservationOut]:
    """List observations, newest first."""
    with state.database.read() as session:
        rows = service.page(session, tenant, wanted)
        return Page.of([observation_out(row) for row in rows], wanted.limit)


@router.get(
    "/export",
    response_class=Response,
    responses={
        200: {"content": {media: {} for media in MEDIA_TYPES.values()}, "description": "The rows as a file."},
        **problems(UnknownPool, InvalidRequest),
    },
)
def export_observations(
    state: AppState, tenant: Tenant, wanted: Annotated[ObservationExport, Query()]
) -> StreamingResponse:
    """Get all rows of a filter as a file; importing it again gives the same fit."""
    return StreamingResponse(
        formats.write(service.export(state.database, tenant, wanted), wanted.format),
        media_type=MEDIA_TYPES[wanted.format],
        headers={"Content-Disposition": f'attachment; filename="observations.{wanted.format}"'},
    )


@router.get("/{observation_id}", responses=problems(NotFound))
def get_observation(state: AppState, tenant: Tenant, observation_id: str) -> ObservationOut:
    """Get one observation."""
    with state.database.read() as session:
        return observation_out(service.find(session, tenant, observation_id))


@router.patch("/{observation_id}", responses=problems(NotFound, InvalidRequest, Conflict, ReadOnlyPool))
@writes
def patch_observation(state: AppState, tenant: Tenant, observation_id: str, patch: ObservationPatch) -> ObservationOut:
    """Exclude an observation from its pool's fits with a reason, include it again, or name its prediction once.

    No other field of an observation ever changes.
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


@pools_router.post(
    "",
    status_code=201,
    responses={
        200: {"model": PoolOut, "description": "The pool was there."},
        **problems(UnknownPool, InvalidRequest, ReadOnlyPool),
    },
)
@writes
def set_pool(request: PoolIn, response: Response, state: AppState, tenant: Tenant) -> PoolOut:
    """Make a pool, or set which pools it borrows: their families stand beside its own in the law."""
    with state.database.write() as session:
        is_new = service.set_pool(session, tenant, request)
        shown = pool_out(service.show_pool(session, tenant, request.name))
    state.refitter.wake()
    response.status_code = 201 if is_new else 200
    return shown


@pools_router.get("/{name}", responses=problems(NotFound))
def get_pool(state: AppState, tenant: Tenant, name: str) -> PoolOut:
    """Get one pool: its number of observations, and the number of changes that its newest fit does not include."""
    with state.database.read() as session:
        return pool_out(service.show_pool(session, tenant, name))
