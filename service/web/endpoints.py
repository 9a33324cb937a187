"""What the plots of a prediction and of a run are made of, the pages, and their static files."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Response
from fastapi.responses import JSONResponse

from service.dependencies import AppState, Tenant
from service.training_runs import service as training_runs
from service.web import (
    chosen,
    decision_pages,
    home,
    import_page,
    law_page,
    list_pages,
    measured_pages,
    prediction_page,
    run_page,
    steering,
)
from service.web.data import read_chart
from service.web.docs import Docs
from service.web.files import PageFiles
from service.web.plots import law_chart
from service.web.rendering import PAGE_HEADERS
from service.web.run_data import live_forecast, read_run
from service.web.run_plot import accuracy_chart, loss_chart
from service.web.summary import law_message

static_directory = Path(__file__).parent / "static"

Name = Annotated[str, Query(min_length=1, max_length=255)]


router = APIRouter(include_in_schema=False)


@router.get("/web/chart.json")
def chart(tenant: Tenant, state: AppState, prediction: Name) -> Response:
    """Answer with the plot of the law that a prediction comes from, the prediction on it, and what is said of it."""
    with state.database.read() as session:
        pool, found = read_chart(session, tenant, prediction)
    content = {
        "spec": law_chart(found.observations, found.curve, found.prediction),
        "message": law_message(pool, found),
    }
    return JSONResponse(content, headers=PAGE_HEADERS)


@router.get("/web/run.json")
def run(tenant: Tenant, state: AppState, run: Name) -> Response:
    """Answer with the plots of a training run as far as it has come: accuracy by step, and the loss."""
    with state.database.read() as session:
        found = training_runs.found(session, tenant, run)
        curve = read_run(session, tenant, found)
    forecast = live_forecast(state, tenant, found)
    if forecast is not None:
        curve = replace(curve, fan=[(one.level, one.lower, one.upper) for one in forecast.now.intervals])
    return JSONResponse({"accuracy": accuracy_chart(curve), "loss": loss_chart(curve)}, headers=PAGE_HEADERS)


PAGES = (
    *(home, chosen, prediction_page, run_page, decision_pages, measured_pages, steering),
    *(import_page, law_page, list_pages),
)
ROUTES = [route for one in PAGES for route in one.router.routes] + router.routes


def mount(app: FastAPI) -> None:
    """Add the pages to the application."""
    app.router.routes += ROUTES
    app.mount("/static", PageFiles(directory=static_directory), name="static")
    app.mount("/docs", Docs(), name="docs")
