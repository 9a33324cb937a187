"""The pages of lists, of one observation, task or model, and of the workers: rendered whole by the server."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import ValidationError

from gapcast import described, task_words, words
from gapcast.contract.lists import ProblemQuery, Sorted
from gapcast.contract.observations import ObservationPatch
from service.catalog import service as catalog
from service.catalog.service import SHIPPED_POOLS
from service.dependencies import AppState, State, Tenant
from service.jobs import service as jobs
from service.kit.errors import Conflict, GapcastError, InvalidRequest, NotFound
from service.kit.problems import field_problems
from service.kit.threads import in_writing_thread
from service.observations import service as observations
from service.observations.presenting import observation_out
from service.tasks import service as tasks
from service.web import exports
from service.web.facts import Fact
from service.web.lists import MODELS, OBSERVATIONS, TABLES, TASKS
from service.web.rendering import PAGE_HEADERS, page
from service.web.sent import sent_fields, value_of
from service.web.tables import Found, Table, asked, filters

router = APIRouter(include_in_schema=False)
NAMES = {
    "status": words.STATES,
    "verdict": {code: text for code, (text, _) in words.VERDICTS.items()},
    "excluded": {"true": "yes", "false": "no"},
    "collapsed": {"true": "yes", "false": "no"},
}
"""what the values of filters are called"""
MOST_PROBLEMS = 5
"""of a task, on its page"""
SORTS = get_args(Sorted)
PAGES_OWN = frozenset({"after", "limit", "order", "sort"})
"""parameters that do not narrow a list"""


def _list_page(table: Table[Any]) -> Callable[[Request, str, Any], Response]:
    def show(request: Request, tenant: Tenant, state: AppState) -> Response:
        found, refused, status = Found[Any](()), "", 200
        try:
            wanted = asked(table, request)
            with state.database.read() as session:
                found = table.read(session, tenant, state.settings, wanted)
        except GapcastError as error:
            refused, status = error.detail, error.status
        given = [(name, value) for name, value in request.query_params.multi_items() if value.strip()]
        narrowed = [(name, value) for name, value in given if name not in PAGES_OWN]
        order, sort = request.query_params.get("order", "desc"), request.query_params.get("sort", "created")
        kept = [(name, value) for name, value in given if name != "after"]
        context = {
            "table": table,
            "filters": filters(table, request, NAMES),
            "order": order,
            "sort": sort,
            "sorted": {name: _address(f"/{table.path}", _sorting(narrowed, name, sort, order)) for name in SORTS},
            "narrowed": narrowed,
            "refused": refused,
            "rows": [(table.row(one), getattr(one, "id", "")) for one in found.items],
            "address": _address(f"/{table.path}", given),
            "first": _address(f"/{table.path}", kept) if "after" in request.query_params else None,
            "next": _address(f"/{table.path}", [*kept, ("after", found.after)]) if found.after is not None else None,
            "json": _address(f"/v1/{table.path}", given),
            "files": [
                (_called(form), f"/{table.path}.{form}", _address(f"/{table.path}.{form}", narrowed))
                for form in _forms(table)
            ],
        }
        return page(request, "list.html", f"/{table.path}", context, status)

    show.__name__ = f"list_{table.path}"
    return show


def _sorting(narrowed: list[tuple[str, str]], by: str, sort: str, order: str) -> list[tuple[str, str]]:
    """The parameters of a list that is sorted by a column; one that it is sorted by turns round."""
    turned = [("order", "asc")] if by == sort and order == "desc" else []
    return [*narrowed, *([("sort", by)] if by != "created" else []), *turned]


def _address(path: str, parameters: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(parameters))
    return f"{path}?{query}" if query else path


def _forms(table: Table[Any]) -> Sequence[str]:
    return table.exported or ((*exports.FORMS,) if table.query is not None else ())


def _called(form: str) -> str:
    return form.capitalize() if form == "parquet" else form.upper()


def _list_file(table: Table[Any]) -> Callable[[Request, str, Any, str], Response]:
    def hand_out(request: Request, tenant: Tenant, state: AppState, form: str) -> Response:
        if form not in _forms(table):
            raise NotFound(f"{table.title} are not written as {form[:20]!r}. Take one of {', '.join(_forms(table))}.")
        if form in table.exported:
            given = [(name, value) for name, value in request.query_params.multi_items() if value.strip()]
            return RedirectResponse(_address(f"/v1/{table.path}/export", [*given, ("format", form)]))
        wanted = asked(table, request)
        items = exports.items(table, state.database, tenant, state.settings, wanted)
        file = f'attachment; filename="{table.path}.{form}"'
        headers = PAGE_HEADERS | {"Content-Disposition": file}
        return StreamingResponse(exports.FORMS[form](items), media_type=exports.MEDIA_TYPES[form], headers=headers)

    hand_out.__name__ = f"file_{table.path}"
    return hand_out


for _table in TABLES:
    router.add_api_route(f"/{_table.path}", _list_page(_table), methods=["GET"])
    router.add_api_route(f"/{_table.path}.{{form}}", _list_file(_table), methods=["GET"])


@router.get("/observations/{observation_id}")
def show_observation(
    request: Request, tenant: Tenant, state: AppState, observation_id: str, before: str = ""
) -> Response:
    """Show one observation, a form that excludes it or includes it again, and how the law has changed since a fit."""
    return _observation(request, tenant, state, observation_id, before=before)


def _observation(
    request: Request,
    tenant: str,
    state: State,
    observation_id: str,
    refused: str = "",
    status: int = 200,
    before: str = "",
) -> Response:
    with state.database.read() as session:
        one = observation_out(observations.find(session, tenant, observation_id))
    rows = [
        Fact(name, text, link=f"/predictions/{text}" if name == "Prediction" else "")
        for name, text in described.observation(one)
    ]
    name = one.name or one.external_id or one.model
    context = _described(OBSERVATIONS, name, one.id, rows)
    changing = {"observation": one, "is_shipped": one.pool in SHIPPED_POOLS, "refused": refused, "before": before}
    return page(request, "observation.html", "/observations", context | changing, status)


@router.post("/observations/{observation_id}")
async def change_observation(request: Request, tenant: Tenant, state: AppState, observation_id: str) -> Response:
    """Exclude an observation or include it again, as the form says, and show it."""
    sent = await sent_fields(request)

    def change() -> Response:
        try:
            patch = ObservationPatch(excluded=value_of(sent, "excluded") == "true", reason=value_of(sent, "reason"))
            with state.database.write() as session:
                row = observations.find(session, tenant, observation_id)
                before = observations.find_pool(session, tenant, row.pool).fit_id
                observations.change(session, tenant, observation_id, patch)
        except ValidationError as error:
            why = " ".join(one.with_value for one in field_problems(error.errors()))
            return _observation(request, tenant, state, observation_id, why, InvalidRequest.status)
        except Conflict as error:
            return _observation(request, tenant, state, observation_id, error.detail, error.status)
        state.refitter.wake()
        since = f"?before={before}" if before is not None else ""
        return RedirectResponse(f"/observations/{quote(observation_id)}{since}", status_code=303)

    return await in_writing_thread(change)


@router.get("/tasks/{name:path}")
def show_task(request: Request, tenant: Tenant, state: AppState, name: str) -> Response:
    """Show one task, its self-check as far as it is, and its first problems."""
    with state.database.read() as session:
        one = tasks.show_task(session, tenant, name)
        wanted = ProblemQuery(limit=MOST_PROBLEMS)
        problems = tasks.preview(session, tenant, name, wanted).data if one.id is not None else []
    rows = [Fact(*row) for row in described.task(one)]
    is_checked = one.status != "checking"
    if not is_checked:
        rows.append(Fact("Self-check", words.sentence(task_words.checking(one).removeprefix("self-check: "))))
    context = _described(TASKS, one.name, one.name, rows)
    shown = [(problem, json.dumps(problem.problem, ensure_ascii=False, indent=2)) for problem in problems]
    return page(request, "task.html", "/tasks", context | {"is_checked": is_checked, "problems": shown})


@router.get("/models/{name:path}")
def show_model(request: Request, _tenant: Tenant, state: AppState, name: str) -> Response:
    """Show one model."""
    one = catalog.show_model(state.settings.models, name)
    context = _described(MODELS, one.name, one.name, (Fact(*row) for row in described.model(one)))
    return page(request, "described.html", "/models", context)


def _described(table: Table[Any], title: str, name: str, rows: Iterable[Fact]) -> dict[str, Any]:
    return {"table": table, "title": title, "rows": list(rows), "json": f"/v1/{table.path}/{quote(name)}"}


@router.get("/workers")
def show_workers(request: Request, tenant: Tenant, state: AppState) -> Response:
    """Show the workers, what they run, and how many jobs wait for them."""
    with state.database.read() as session:
        found = jobs.workers(session, tenant)
    return page(request, "workers.html", "/workers", {"workers": found})
