"""/v1/probes: measurements of gaps, and how large one must be."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from gapcast.contract.base import Page
from gapcast.contract.events import EventPage
from gapcast.contract.imported_probes import ImportedProbe
from gapcast.contract.lists import ProbeQuery, SampleExport, SampleQuery
from gapcast.contract.probes import ProbeOut, ProbeRequest
from gapcast.contract.samples import SampleOut, SampleStorage, SampleStorageIn
from gapcast.contract.sizing import SizeOut, SizeRequest
from service.dependencies import AppState, State, Tenant
from service.errors import TooManyJobs, UnknownModel, UnknownPool, UnknownTask
from service.events.stream import OF_EVENTS, Follow, Subject, answer_events
from service.kit.accepted import accepted, idempotency_of, when_ended
from service.kit.errors import BodyTooLarge, Conflict, IdempotencyMismatch, InvalidRequest, MalformedJson, NotFound
from service.kit.idempotency import IdempotencyKey
from service.kit.problems import problems
from service.kit.threads import reads, writes
from service.kit.waiting import Prefer
from service.probes import importing, service, sizing
from service.samples import service as samples

router = APIRouter(prefix="/probes", tags=["probes"])
storage_router = APIRouter(prefix="/sample_storage", tags=["probes"])
PATH = "/v1/probes"
IMPORT = f"{PATH}/import"
NDJSON = "application/x-ndjson"


def _read(state: State, tenant: str, probe_id: str) -> ProbeOut:
    with state.database.read() as session:
        return service.found(session, tenant, probe_id)


def _ended(state: State, tenant: str, probe_id: str) -> bool:
    with state.database.read() as session:
        return service.state_of(session, tenant, probe_id).ended


@router.post(
    "",
    status_code=202,
    responses={
        200: {"model": ProbeOut, "description": "Measured already, or within the time of `Prefer: wait`."},
        **problems(
            *(UnknownModel, UnknownTask, IdempotencyMismatch, InvalidRequest, MalformedJson, BodyTooLarge, TooManyJobs)
        ),
    },
)
async def create_probe(
    request: ProbeRequest,
    response: Response,
    state: AppState,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> ProbeOut:
    """Measure a gap; a configuration that was measured before is answered at once."""
    idempotency = idempotency_of(PATH, idempotency_key, request)

    def store() -> str:
        with state.database.write() as session:
            return service.create(session, tenant, request, state.settings, idempotency)

    return await accepted(response, PATH, store, partial(_read, state, tenant), partial(_ended, state, tenant), prefer)


@router.post(
    "/import",
    status_code=201,
    responses={
        200: {"model": ProbeOut, "description": "The same scores were imported before."},
        **problems(IdempotencyMismatch, InvalidRequest, MalformedJson, BodyTooLarge),
    },
)
def import_probe(
    imported: ImportedProbe,
    response: Response,
    state: AppState,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
) -> ProbeOut:
    """Store a gap that another harness has measured, from the scores of each problem without and with the context."""
    idempotency = idempotency_of(IMPORT, idempotency_key, imported)
    with state.database.write() as session:
        probe_id, is_new = importing.create(session, tenant, imported, state.settings, idempotency)
    response.headers["Location"] = f"{PATH}/{probe_id}"
    response.status_code = 201 if is_new else 200
    return _read(state, tenant, probe_id)


@router.post("/size", responses=problems(InvalidRequest, UnknownPool, NotFound))
def size_probe(request: SizeRequest, state: AppState, tenant: Tenant) -> SizeOut:
    """Get the cheapest probe whose prediction is as narrow as wanted, or the reason why no probe is."""
    return sizing.size(state.database, tenant, request, state.settings.models)


@router.get("", responses=problems(InvalidRequest))
@reads
def list_probes(state: AppState, tenant: Tenant, wanted: Annotated[ProbeQuery, Query()]) -> Page[ProbeOut]:
    """List probes, newest first, without their counts by problem; GET /v1/probes/{id} has them."""
    with state.database.read() as session:
        return service.page(session, tenant, wanted)


@router.get("/{probe_id}", responses=problems(NotFound))
async def get_probe(state: AppState, tenant: Tenant, probe_id: str, prefer: Prefer = None) -> ProbeOut:
    """Get one probe; with `Prefer: wait=N`, once it has ended or the time is over."""
    return await when_ended(partial(_read, state, tenant, probe_id), partial(_ended, state, tenant, probe_id), prefer)


@router.get("/{probe_id}/samples", responses=problems(NotFound, InvalidRequest))
def list_samples(
    probe_id: str, state: AppState, tenant: Tenant, wanted: Annotated[SampleQuery, Query()]
) -> Page[SampleOut]:
    """List the stored rollouts of a probe, problem by problem: prompt, context, completion, answer and score."""
    with state.database.read() as session:
        service.model_of(session, tenant, probe_id)
        return samples.page(session, probe_id, wanted)


@router.get(
    "/{probe_id}/samples/export",
    response_class=Response,
    responses={
        200: {"content": {NDJSON: {}}, "description": "A line of JSON a rollout; of `lm-eval`, a line a problem."},
        **problems(NotFound, InvalidRequest),
    },
)
def export_samples(
    probe_id: str, state: AppState, tenant: Tenant, wanted: Annotated[SampleExport, Query()]
) -> Response:
    """Get the stored rollouts of a probe as a file, also in the shapes of lm-eval and verifiers."""
    with state.database.read() as session:
        model = service.model_of(session, tenant, probe_id)
        lines = "".join(samples.export(session, probe_id, wanted, model))
    name = f"samples_{probe_id}.jsonl"
    return Response(lines, media_type=NDJSON, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.post("/{probe_id}/cancel", responses=problems(NotFound, Conflict))
@writes
def cancel_probe(probe_id: str, state: AppState, tenant: Tenant) -> ProbeOut:
    """Cancel a probe that has not ended and every prediction that waits for it; the measured problems are kept."""
    with state.database.write() as session:
        service.cancel(session, tenant, probe_id, state.settle)
    return _read(state, tenant, probe_id)


@router.get("/{probe_id}/events", response_model=EventPage, responses=OF_EVENTS)
async def probe_events(probe_id: str, state: AppState, tenant: Tenant, follow: Follow) -> Response | EventPage:
    """Follow a probe: a JSON page of events, or with `Accept: text/event-stream` a stream that ends with it."""

    def look() -> Subject:
        with state.database.read() as session:
            at = service.state_of(session, tenant, probe_id)
            return Subject(tenant, [at.job_id], at.ended)

    return await answer_events(state, look, follow)


@storage_router.get("")
def get_sample_storage(state: AppState, tenant: Tenant) -> SampleStorage:
    """Get whether the rollouts of your probes are stored, how many are, and the bounds."""
    with state.database.read() as session:
        return samples.storage(session, tenant, state.settings)


@storage_router.put("", responses=problems(InvalidRequest, MalformedJson))
def set_sample_storage(request: SampleStorageIn, state: AppState, tenant: Tenant) -> SampleStorage:
    """Choose whether the rollouts of your probes are stored; `false` also deletes those that are."""
    with state.database.write() as session:
        samples.set_storage(session, tenant, store=request.store)
        return samples.storage(session, tenant, state.settings)
