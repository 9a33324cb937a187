"""/v1/tasks: task files of one's own, and the bundled ones."""

from functools import partial
from typing import IO, Annotated, NamedTuple

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import TypeAdapter, WithJsonSchema

from gapcast.contract.accepted import listed
from gapcast.contract.base import Listing, Page
from gapcast.contract.catalog import ProblemOut, Task
from gapcast.contract.lists import ProblemQuery
from gapcast.contract.problems import MaxTokens, Preamble, Preset, ProblemIn, TaskIn, TaskName, VerifierKind
from service.dependencies import AppState, State, Tenant
from service.errors import InvalidFile, TooManyJobs
from service.kit.errors import (
    BodyTooLarge,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    Unavailable,
    UnsupportedMediaType,
)
from service.kit.idempotency import IdempotencyKey, body_hash, claim_key, find_key, remember
from service.kit.ids import new_id
from service.kit.openapi import OpenApi, inlined
from service.kit.problems import problems
from service.kit.threads import in_writing_thread
from service.tasks import service, task_files, uploads
from service.tasks.mapping import Columns, columns_of

router = APIRouter(prefix="/tasks", tags=["catalog"])

_TABLE = {
    "schema": {"type": "string", "format": "binary", "description": f"columns: {', '.join(ProblemIn.model_fields)}"}
}

# `TaskIn` refuses what is out of bounds, in words that know its fields
_Name = Annotated[str, WithJsonSchema(TypeAdapter(TaskName).json_schema())]
_MaxTokens = Annotated[int, WithJsonSchema(TypeAdapter(MaxTokens).json_schema())]
_Preamble = Annotated[str, WithJsonSchema(TypeAdapter(Preamble).json_schema())]

_SCHEMAS: dict[task_files.Form, OpenApi] = {
    "ndjson": {"schema": inlined(ProblemIn) | {"description": "Each line."}},
    "json": {"schema": {"type": "array", "items": inlined(ProblemIn), "minItems": 1}},
    "csv": _TABLE,
    "parquet": _TABLE,
}
_BODY: OpenApi = {
    "requestBody": {
        "required": True,
        "content": {media: _SCHEMAS[form] for media, form in task_files.MEDIA_TYPES.items()},
    }
}


@router.post(
    "",
    status_code=201,
    openapi_extra=_BODY,
    responses={
        200: {"model": Task, "description": "This content is stored already under this name."},
        **problems(
            *(InvalidFile, InvalidRequest, IdempotencyMismatch, UnsupportedMediaType, BodyTooLarge),
            *(Unavailable, TooManyJobs),
        ),
    },
)
async def create_task(
    request: Request,
    response: Response,
    state: AppState,
    tenant: Tenant,
    name: Annotated[_Name, Query(description=TaskIn.model_fields["name"].description)],
    verifier: Annotated[
        VerifierKind | None, Query(description="how a completion is scored; null: what `from` says of its layout")
    ] = None,
    max_tokens: Annotated[_MaxTokens | None, Query(description=TaskIn.model_fields["max_tokens"].description)] = None,
    preamble: Annotated[_Preamble | None, Query(description=TaskIn.model_fields["preamble"].description)] = None,
    options: Annotated[str | None, Query(description="the verifier's options, a JSON object")] = None,
    layout: Annotated[Preset | None, Query(alias="from", description="the public layout that the file has")] = None,
    mapped: Annotated[
        list[str] | None,
        Query(alias="map", description="FIELD=COLUMN, where a column has another name than its field; may be repeated"),
    ] = None,
    accept: Annotated[bool, Query(description="use the task whatever its self-check finds")] = False,
    idempotency_key: IdempotencyKey = None,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> Task:
    """Store a task file (JSON lines, a JSON array, CSV or Parquet, as its Content-Type says): all problems, or none.

    A worker then checks it: each reference solution must score 1, and what is no answer 0. Below 95 % of its problems
    the task is refused, unless `accept` is true. Other content under the same name becomes a new revision, which the
    name means once it is ready. The same content again is answered with 200. Tasks are never changed or deleted: a
    probe names the revision that it measured.
    """
    known = ("name", "verifier", "max_tokens", "preamble", "options", "from", "map", "accept")
    for parameter in request.query_params:
        if parameter not in known:
            raise InvalidRequest(
                f"{parameter[:80]}: is not a parameter of this endpoint. The parameters are {listed(known, 'and')}.",
                param=parameter[:80],
            )
    form = task_files.form_of(content_type)
    if form is None:
        raise UnsupportedMediaType.of(content_type, *task_files.MEDIA_TYPES)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType(
            "Content-Encoding: compressed bodies are not read. Send the body without compression.",
            param="Content-Encoding",
        )
    given: dict[str, str | int | None] = {"max_tokens": max_tokens, "preamble": preamble}
    settings = {key: value for key, value in given.items() if value is not None}
    columns = columns_of(layout, mapped or [])
    task = uploads.header(name, verifier, options, settings, layout)
    upload = Upload(task, form, columns, accept)
    with task_files.scratch(state.settings.data_dir) as raw:
        content = await task_files.receive(request.stream(), raw)
        read = f"{form}&{layout}&{sorted(columns.paths.items())}&{accept}"
        hashed = body_hash(f"/v1/tasks?{task.model_dump_json()}&{read}", content)
        key = (idempotency_key, hashed) if idempotency_key is not None else None
        stored, is_new = await in_writing_thread(partial(take, state, tenant, upload, raw, key))
    response.status_code = 201 if is_new else 200
    return stored


class Upload(NamedTuple):
    """What a file is sent with."""

    task: TaskIn
    form: task_files.Form
    columns: Columns
    accept: bool


def take(
    state: State, tenant: str, upload: Upload, raw: IO[bytes], key: tuple[str, str] | None = None
) -> tuple[Task, bool]:
    """Check and store, and say whether the task is new.

    A key that was used answers with what it made, before the work of reading the file again.
    """
    if key is not None:
        with state.database.read() as session:
            known = find_key(session, tenant, *key)
            if known is not None:
                return Task.model_validate(known.response), True
    settings = state.settings
    folder, most = settings.data_dir, settings.max_queued_jobs
    with task_files.scratch(folder) as unpacked, task_files.scratch(folder) as checked:
        prepared = uploads.prepare(
            raw, upload.form, upload.task, unpacked, checked, settings.max_task_bytes, upload.columns
        )
        with state.database.write() as session:
            if key is None:
                return uploads.store(session, tenant, prepared, accept=upload.accept, most_jobs=most)
            upload_id = new_id("upload")
            if claim_key(session, tenant, *key, upload_id) != upload_id:
                again = find_key(session, tenant, *key)
                return Task.model_validate(again.response if again is not None else None), True
            stored, is_new = uploads.store(session, tenant, prepared, accept=upload.accept, most_jobs=most)
            remember(session, tenant, key[0], stored.model_dump(mode="json"))
            return stored, is_new


@router.get("")
def list_tasks(state: AppState, tenant: Tenant) -> Listing[Task]:
    """List the tasks that a gap can be measured on: the bundled ones, then uploaded ones as their newest revisions."""
    with state.database.read() as session:
        return Listing(data=service.tasks(session, tenant))


# before the path of a task, whose name may hold a slash; no task's name ends with /problems
@router.get("/{name:path}/problems", responses=problems(NotFound, InvalidRequest))
def list_problems(
    state: AppState, tenant: Tenant, name: str, wanted: Annotated[ProblemQuery, Query()]
) -> Page[ProblemOut]:
    """List an uploaded task's problems in the file's order; long texts and lists are truncated."""
    with state.database.read() as session:
        return service.preview(session, tenant, name, wanted)


@router.get("/{name:path}", responses=problems(NotFound))
def get_task(
    state: AppState,
    tenant: Tenant,
    name: str,
    revision: Annotated[str | None, Query(description="of the task; null: what its name means", max_length=80)] = None,
) -> Task:
    """Get a task, with its self-check: the newest revision that is ready, or the one that is asked for."""
    with state.database.read() as session:
        return service.show_task(session, tenant, name, revision)
