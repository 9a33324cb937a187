"""The API application: rooms put together, nothing else."""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

import structlog
from fastapi import APIRouter, Depends, FastAPI
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gapcast import __version__
from service import health, logs
from service.catalog import endpoints as catalog
from service.comparisons import endpoints as comparisons
from service.dependencies import State
from service.events import endpoints as events
from service.events.watching import Watching
from service.external_runs import endpoints as external_runs
from service.fits import endpoints as fits
from service.fits.service import Refitter
from service.forecasts import endpoints as forecasts
from service.jobs import endpoints as workers
from service.jobs.broker import Dispatcher
from service.jobs.service import reconcile
from service.kinds import settle
from service.kit import problems
from service.kit.auth import current_tenant, is_loopback
from service.kit.database import Database
from service.kit.ids import new_id
from service.kit.in_flight import InFlight, Places
from service.kit.limits import BodyLimit, HeadAsGet, LocalNamesOnly, OwnPagesOnly
from service.kit.openapi import complete
from service.kit.process import PARENT, die_with_parent, hide_environment, keep_freed_memory
from service.kit.threads import bound_reading
from service.kit.waiting import heeding_signals
from service.observations import endpoints as observations
from service.predictions import endpoints as predictions
from service.probes import endpoints as probes
from service.recommendations import endpoints as recommendations
from service.recommendations.executing import go_on
from service.settings import Settings
from service.tasks import endpoints as tasks
from service.training_runs import endpoints as training_runs
from service.web import import_page
from service.web.endpoints import mount
from service.web.errors import error_page

log = structlog.get_logger()


class RequestId:
    """Give each request an id, answer with it in `X-Request-Id`, and log the request with it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = new_id("req")
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 500

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        finally:
            milliseconds = round(1000 * (time.perf_counter() - started), 1)
            log.debug(
                "request", method=scope["method"], path=scope["path"], status=status, id=request_id, ms=milliseconds
            )


def _keep_reconciling(state: State, stop: threading.Event) -> None:
    while not stop.wait(state.settings.reconcile_seconds):
        try:
            reconcile(state.database, state.settings, state.settle)
            go_on(state.database, state.settings)
        except Exception as error:
            log.warning("reconcile_failed", error=f"{type(error).__name__}: {error}"[:300])


def _api() -> APIRouter:
    found = APIRouter(prefix="/v1", dependencies=[Depends(current_tenant)])
    decisions, trained = (comparisons, recommendations), (training_runs, forecasts, external_runs)
    for room in (predictions, *decisions, probes, *trained, observations, fits, events, catalog, tasks, workers):
        found.include_router(room.router)
    found.include_router(observations.pools_router)
    found.include_router(probes.storage_router)
    found.include_router(forecasts.of_fits)
    routes = [route for route in found.routes if isinstance(route, Route)]
    for route in routes:
        if not route.param_convertors and sum(one.path == route.path for one in routes) == 1:
            route.matches = partial(_alone, route.matches)  # type: ignore[method-assign]
    return found


def _alone(matches: Callable[[Scope], tuple[Match, Scope]], scope: Scope) -> tuple[Match, Scope]:
    """Let a path without parameters answer every method: GET /v1/probes/size does not ask for a probe of this name."""
    match, child = matches(scope)
    return (Match.NONE if match == Match.NONE else Match.FULL), child


API = _api()
"""Every resource; made once, as it takes longer than all else that an application is made of"""


def _belong_to_parent() -> None:
    """End this process with the server that has started it, and keep the environment to itself as that does."""
    parent = os.environ.pop(PARENT, None)
    if parent is not None:
        hide_environment()
        die_with_parent(int(parent))


def _completed(generate: Callable[[], dict[str, Any]], *, keyed: bool) -> Callable[[], dict[str, Any]]:
    """Make the OpenAPI document once, with the errors that FastAPI does not know of."""

    @cache
    def document() -> dict[str, Any]:
        return complete(generate(), keyed=keyed)

    return document


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; without arguments from the environment, as one of uvicorn's several processes."""
    if settings is None:
        settings = Settings()
        _belong_to_parent()
    logs.configure(settings)

    places = Places()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        dispatcher = Dispatcher(settings)
        database = Database(settings.database_url, dispatcher.wake)
        refitter = Refitter(database, settings.reconcile_seconds)
        watching = Watching(database, settings.max_streams)
        state = State(settings, database, dispatcher, refitter, watching, places, settle)
        bound_reading()
        keep_freed_memory()
        app.state.gapcast = state
        stop = threading.Event()
        thread = threading.Thread(target=_keep_reconciling, args=(state, stop), name="reconciler", daemon=True)
        thread.start()
        refitter.start()
        with heeding_signals():
            yield
        stop.set()
        await asyncio.to_thread(refitter.stop)
        await asyncio.to_thread(thread.join, 5)
        database.close()

    app = FastAPI(
        title="Gapcast",
        version=__version__,
        summary="What an On-Policy Self-Distillation run will gain, before it is paid for.",
        lifespan=lifespan,
        docs_url=None,  # its scripts come from another host
        redoc_url=None,
        openapi_url=None,  # below, behind the key
    )
    key = settings.api_key
    app.state.api_key_digest = hashlib.sha256(key.get_secret_value().encode()).digest() if key else None
    # as they are: include_router would analyse each of them once more for every application
    app.router.routes += [*API.routes, *health.router.routes]
    guarded = [Depends(current_tenant)]
    app.openapi = _completed(app.openapi, keyed=key is not None)  # type: ignore[method-assign]
    app.add_api_route("/openapi.json", app.openapi, dependencies=guarded, include_in_schema=False)
    mount(app)
    problems.install(app, error_page)
    app.add_middleware(OwnPagesOnly)
    if key is None and is_loopback(settings.host):
        # without a key, a page elsewhere must not reach us through a name that it points at 127.0.0.1
        app.add_middleware(LocalNamesOnly)
    larger = {
        "/v1/observations": settings.max_import_bytes,
        probes.IMPORT: settings.max_import_bytes,
        "/v1/tasks": settings.max_task_bytes,
        **dict.fromkeys(import_page.PATHS, settings.max_import_bytes),
    }
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, larger=larger)
    app.add_middleware(InFlight, places=places)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestId)
    return app
