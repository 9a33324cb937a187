"""The pages of lists, of one observation, task or model, and of the workers: rendered whole by the server."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from gapcast import described, words
from gapcast.contract.observations import ObservationPatch
from service.catalog import service as catalog
from service.catalog.service import SHIPPED_POOLS
from service.dependencies import AppState, State, Tenant
from service.jobs import service as jobs
from service.kit.errors import Conflict, GapcastError, InvalidRequest
from service.kit.problems import field_problems
from service.kit.threads import in_writing_thread
from service.observations import service as observations
from service.observations.presenting import observation_out
from service.tasks import service as tasks
from service.web.facts import Fact
from service.web.lists import MODELS, OBSERVATIONS, TABLES, TASKS
from service.web.rendering import page
from service.web.tables import Found, Table, asked, filters

router = APIRouter(include_in_schema=False)
NAMES = {
    "status": words.STATES,
    "verdict": {code: text for code, (text, _) in words.VERDICTS.items()},
    "excluded": {"true": "yes", "false": "no"},
    "collapsed": {"true": "yes", "false": "no"},
}
"""what the values of filters are called"""
PAGES_OWN = frozenset({"after", "limit", "order"})
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
        kept = [(name, value) for name, value in given if name != "after"]
        context = {
            "table": table,
            "filters": filters(table, request, NAMES),
            "order": request.query_params.get("order"),
            "narrowed": narrowed,
            "refused": refused,
            "rows": [table.row(one) for one in found.items],
            "address": _address(f"/{table.path}", given),
            "first": _address(f"/{table.path}", kept) if "after" in request.query_params else None,
            "next": _address(f"/{table.path}", [*kept, ("after", found.after)]) if found.after is not None else None,
            "json": _address(f"/v1/{table.path}", given),
            "files": [
                (form.upper() if form != "parquet" else form.capitalize(), _export(table, narrowed, form))
                for form in table.exported
            ],
        }
        return page(request, "list.html", f"/{table.path}", context, status)

    show.__name__ = f"list_{table.path}"
    return show


def _address(path: str, parameters: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(parameters))
    return f"{path}?{query}" if query else path


def _export(table: Table[Any], narrowed: list[tuple[str, str]], form: str) -> str:
    return _address(f"/v1/{table.path}/export", [*narrowed, ("format", form)])


for _table in TABLES:
    router.add_api_route(f"/{_table.path}", _list_page(_table), methods=["GET"])


@router.get("/observations/{observation_id}")
def show_observation(request: Request, tenant: Tenant, state: AppState, observation_id: str) -> Response:
    """Show one observation, and a form that excludes it from the law or includes it again."""
    return _observation(request, tenant, state, observation_id)


def _observation(
    request: Request, tenant: str, state: State, observation_id: str, refused: str = "", status: int = 200
) -> Response:
    with state.database.read() as session:
        one = observation_out(observations.find(session, tenant, observation_id))
    rows = [
        Fact(name, text, link=f"/predictions/{text}" if name == "Prediction" else "")
        for name, text in described.observation(one)
    ]
    name = one.name or one.external_id or one.model
    context = _described(OBSERVATIONS, name, one.id, rows)
    changing = {"observation": one, "is_shipped": one.pool in SHIPPED_POOLS, "refused": refused}
    return page(request, "observation.html", "/observations", context | changing, status)


@router.post("/observations/{observation_id}")
async def change_observation(request: Request, tenant: Tenant, state: AppState, observation_id: str) -> Response:
    """Exclude an observation or include it again, as the form says, and show it."""
    sent = dict(parse_qsl((await request.body()).decode(errors="replace")))

    def change() -> Response:
        try:
            patch = ObservationPatch(excluded=sent.get("excluded") == "true", reason=sent.get("reason"))
            with state.database.write() as session:
                observations.change(session, tenant, observation_id, patch)
        except ValidationError as error:
            why = " ".join(one.with_value for one in field_problems(error.errors()))
            return _observation(request, tenant, state, observation_id, why, InvalidRequest.status)
        except Conflict as error:
            return _observation(request, tenant, state, observation_id, error.detail, error.status)
        state.refitter.wake()
        return RedirectResponse(f"/observations/{quote(observation_id)}", status_code=303)

    return await in_writing_thread(change)


@router.get("/tasks/{name:path}")
def show_task(request: Request, tenant: Tenant, state: AppState, name: str) -> Response:
    """Show one task."""
    with state.database.read() as session:
        one = tasks.show_task(session, tenant, name)
    context = _described(TASKS, one.name, one.name, (Fact(*row) for row in described.task(one)))
    return page(request, "described.html", "/tasks", context)


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
