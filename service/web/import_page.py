"""Pages that take files: observations, checked before they are stored, and tasks.

A form sends its file as a field, text as it is and Parquet as base64, so that one without JavaScript works, too.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, get_args
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from gapcast import words
from gapcast.contract.base import POOL_PATTERN
from gapcast.contract.fits import Coefficients
from gapcast.contract.lists import ObservationImport
from gapcast.contract.observations import BatchOut
from gapcast.contract.probes import Difference
from gapcast.contract.problems import Preset, TaskIn, VerifierKind
from service.dependencies import AppState, State, Tenant
from service.errors import UnknownPool
from service.fits import service as fits
from service.fits.presenting import fit_out
from service.kit.errors import FieldProblem, GapcastError, InvalidRequest
from service.kit.problems import field_problems
from service.kit.threads import in_writing_thread
from service.observations import formats
from service.observations import service as observations
from service.observations.measuring import Prepared
from service.observations.translation import Translation
from service.tasks import task_files, uploads
from service.tasks.endpoints import Upload, take
from service.tasks.mapping import columns_of
from service.web.rendering import page
from service.web.sent import Sent, sent_fields, value_of

router = APIRouter(include_in_schema=False)
PATHS = ("/import/observations", "/import/task")
TASK_FORMATS = tuple(dict.fromkeys(task_files.MEDIA_TYPES.values()))
MOST_SHOWN = 20
"""rows of a preview: enough to see that each column is where it belongs"""


class Fault(NamedTuple):
    """What is wrong, and where."""

    field: str
    text: str


def _lines(sent: Sent, name: str) -> list[str]:
    return [line.strip() for line in sent.get(name, [""])[-1].splitlines() if line.strip()]


def _file(sent: Sent) -> bytes:
    """The file that a form was sent with.

    Raises:
        InvalidRequest: there is none, or it is not what the browser makes of one.
    """
    packed = value_of(sent, "packed")
    if packed is not None:
        try:
            return base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            message = "file: expected base64, got something else. Choose the file again."
            raise InvalidRequest(message, param="file") from None
    text = sent.get("text", [""])[-1]
    if not text.strip():
        raise InvalidRequest("file: expected a file or its text, got neither. Choose one, or paste it.", param="file")
    return text.encode()


def _faults(error: GapcastError) -> list[Fault]:
    problems: Sequence[FieldProblem] = error.errors or [FieldProblem(param="", message=error.detail)]
    return [Fault(_field(one.param), _text(one)) for one in problems]


def _field(param: str) -> str:
    """The field of a row, without the place of the row, which the message names as people count."""
    return param.split(".", 2)[-1] if param.startswith("observations.") and param.count(".") > 1 else param


def _text(problem: FieldProblem) -> str:
    return problem.with_value.removeprefix(f"{problem.param}: ")


@router.get("/import/observations")
def import_observations(request: Request, _tenant: Tenant, pool: str = "default") -> Response:
    """Show the form that takes past runs."""
    return _observations_page(request, {"pool": [pool]})


def _observations_page(request: Request, sent: Sent, **found: Any) -> Response:  # noqa: ANN401
    context = {
        **{"title": "Import observations", "list": "Observations", "path": PATHS[0]},
        "sent": {name: values[-1] for name, values in sent.items()},
        "formats": list(formats.MEDIA_TYPES),
    }
    return page(request, "import_observations.html", "/observations", context | found)


@router.post("/import/observations")
async def take_observations(request: Request, tenant: Tenant, state: AppState) -> Response:
    """Check a file of past runs; store it when that is asked for and nothing is wrong."""
    sent = await sent_fields(request)
    is_stored = value_of(sent, "do") == "store"
    try:
        found = await in_writing_thread(lambda: _take(state, tenant, sent, is_stored=is_stored))
    except GapcastError as error:
        return _observations_page(request, sent, faults=_faults(error))
    if is_stored:
        state.refitter.wake()
    return _observations_page(request, sent, **found)


class _Checked(Exception):
    """Everything would be stored so; raised to take it back."""

    def __init__(self, batch: BatchOut) -> None:
        self.batch = batch


def _take(state: State, tenant: str, sent: Sent, *, is_stored: bool) -> dict[str, Any]:
    """Check the rows of a file, and try to store them: a stored row that says something else is a fault, too."""
    into = _into(sent)
    wanted = Translation(into)
    form: formats.Format = _choice(sent, "format", get_args(formats.Format)) or "csv"
    rows = observations.check(formats.read(_file(sent), form, wanted), into.pool, into.tag, wanted)
    before = {row.values.pool: _newest(state, tenant, row.values.pool) for row in rows}
    try:
        with state.database.write() as session:
            batch = observations.store(session, tenant, rows)
            if not is_stored:
                raise _Checked(batch)
    except _Checked as checked:
        batch = checked.batch
    found = {
        "batch": batch,
        "warnings": [*(one.message for one in wanted.warnings()), *(one.message for one in batch.warnings)],
        "unused": wanted.unused,
        "is_stored": is_stored,
    }
    if is_stored:
        changed = [urlencode({"pool": pool, "before": before[pool]}) for pool in batch.pools]
        return found | {"changed": changed}
    return found | {"rows": [_row(one) for one in rows[:MOST_SHOWN]], "total": len(rows)}


def _into(sent: Sent) -> ObservationImport:
    given = {
        "pool": value_of(sent, "pool"),
        "tag": (value_of(sent, "tag") or "").split(),
        "map": _lines(sent, "map"),
        "default": _lines(sent, "default"),
        "percent": value_of(sent, "percent") is not None,
    }
    try:
        return ObservationImport.model_validate(given)
    except ValidationError as error:
        problems = field_problems(error.errors())
        raise InvalidRequest(problems[0].with_value, param=problems[0].param, errors=problems) from None


def _newest(state: State, tenant: str, pool: str) -> str:
    """The pool's newest fit; nothing where it has none."""
    try:
        with state.database.read() as session:
            return observations.find_pool(session, tenant, pool).fit_id or ""
    except UnknownPool:
        return ""


def _row(row: Prepared) -> list[str]:
    values = row.values
    pairs = ((values.gap, values.gap_se), (values.improvement, values.improvement_se))
    known = [Difference(value=value, se=se) if value is not None and se is not None else None for value, se in pairs]
    return [
        *(values.external_id or values.name or "", values.family, values.model, values.task),
        words.plain(values.context_kind),
        *(words.measured(one) if one is not None else "" for one in known),
        "collapsed" if values.collapsed else "",
    ]


Pool = Annotated[str, Query(pattern=POOL_PATTERN)]


@router.get("/law/change")
def law_change(request: Request, tenant: Tenant, state: AppState, pool: Pool, before: str = "") -> Response:
    """Say how a pool's law has changed since one of its versions; or that it is still being fitted."""
    with state.database.read() as session:
        newest = fits.newest(session, tenant, pool)
        is_ready = newest is not None and not newest.behind
        if not is_ready:
            state.refitter.wake()
        old = fits.get(session, tenant, before) if before else None
        context: dict[str, Any] = {"pool": pool, "before": before, "is_ready": is_ready, "lines": []}
        if newest is not None and is_ready:
            context["fit"] = newest.fit.id
            was = fit_out(old).families if old is not None else []
            context["lines"] = _compared(was, fit_out(newest.fit).families)
    return page(request, "law_change.html", "/law", context)


class Change(NamedTuple):
    """The law of a family's runs in two versions."""

    name: str
    before: str
    after: str
    is_other: bool


def _compared(before: Sequence[Coefficients], after: Sequence[Coefficients]) -> list[Change]:
    old, new = ({(one.family, words.recipe(one)): _summary(one) for one in of} for of in (before, after))
    return [
        Change(", ".join(key), old.get(key, "none"), new.get(key, "none"), old.get(key) != new.get(key))
        for key in sorted({*old, *new})
    ]


def _summary(one: Coefficients) -> str:
    return f"{words.count(one.n, 'observation')}, {words.summed_up(one)}"


@router.get("/import/task")
def import_task(request: Request, _tenant: Tenant) -> Response:
    """Show the form that takes a task file."""
    return _task_page(request, {})


def _task_page(request: Request, sent: Sent, faults: Sequence[Fault] = ()) -> Response:
    context = {
        **{"title": "Upload a task", "list": "Tasks", "path": PATHS[1]},
        "sent": {name: values[-1] for name, values in sent.items()},
        "formats": TASK_FORMATS,
        "verifiers": get_args(VerifierKind),
        "layouts": get_args(Preset),
        "task": TaskIn.model_fields,
        "faults": faults,
    }
    return page(request, "import_task.html", "/tasks", context)


@router.post("/import/task")
async def take_task(request: Request, tenant: Tenant, state: AppState) -> Response:
    """Store a task file and lead to its page, where its self-check is followed."""
    sent = await sent_fields(request)
    try:
        name = await in_writing_thread(lambda: _take_task(state, tenant, sent))
    except GapcastError as error:
        return _task_page(request, sent, _faults(error))
    address = f"/tasks/{quote(name)}"
    if "hx-request" in request.headers:  # htmx would put the page that it is led to into this one
        return Response(status_code=200, headers={"HX-Redirect": address})
    return RedirectResponse(address, status_code=303)


def _take_task(state: State, tenant: str, sent: Sent) -> str:
    max_tokens = value_of(sent, "max_tokens")
    if max_tokens is not None and not max_tokens.isdigit():
        raise InvalidRequest(f"max_tokens: expected a whole number, got {max_tokens[:80]!r}.", param="max_tokens")
    given: dict[str, str | int | None] = {
        "max_tokens": int(max_tokens) if max_tokens is not None else None,
        "preamble": value_of(sent, "preamble"),
    }
    layout = _choice(sent, "from", get_args(Preset))
    form = _choice(sent, "format", TASK_FORMATS) or TASK_FORMATS[0]
    columns = columns_of(layout, _lines(sent, "map"))
    settings = {name: value for name, value in given.items() if value is not None}
    name, verifier, options = (value_of(sent, field) for field in ("name", "verifier", "options"))
    task = uploads.header(name or "", verifier, options, settings, layout)
    upload = Upload(task, form, columns, value_of(sent, "accept") is not None)
    with task_files.scratch(state.settings.data_dir) as raw:
        raw.write(_file(sent))
        raw.seek(0)
        stored, _ = take(state, tenant, upload, raw)
    return stored.name


def _choice(sent: Sent, name: str, choices: Sequence[Any]) -> Any:  # noqa: ANN401
    value = value_of(sent, name)
    if value is not None and value not in choices:
        raise InvalidRequest(f"{name}: expected one of {', '.join(choices)}, got {value[:80]!r}.", param=name)
    return value
