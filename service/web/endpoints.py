"""What the plots and the sentences about the law are made of, the pages, and their static files."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from gapcast import words
from gapcast.contract.recipes import Divergence, Teacher
from service.dependencies import AppState, Tenant
from service.errors import UnknownPool
from service.fits.analysis import Whose
from service.training_runs import service as training_runs
from service.web import (
    chosen,
    data,
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
from service.web.docs import Docs
from service.web.files import PageFiles
from service.web.outcome_plot import outcomes_chart
from service.web.plots import law_chart
from service.web.points import ChartData
from service.web.recipes import FamilyRecipe, law_key
from service.web.rendering import PAGE_HEADERS, fragment
from service.web.run_data import live_forecast, read_run
from service.web.run_plot import accuracy_chart, loss_chart
from service.web.summary import (
    alarms,
    law_message,
    laws,
    observation_rows,
    outcomes_message,
    sizes_message,
)

static_directory = Path(__file__).parent / "static"

Name = Annotated[str, Query(min_length=1, max_length=255)]


class ChartReader(Protocol):
    """Reads what the plot of the law shows; raises NotFound for a prediction and UnknownPool for a pool that is not."""

    def __call__(
        self, session: Session, tenant: str, pool: str, wanted: Whose | None, prediction_id: str | None
    ) -> ChartData:
        """Return observations, the fit, a curve (that wanted, the prediction's or the largest), and the prediction.

        A prediction is drawn on the law that it comes from and on no other.
        """
        ...


router = APIRouter(include_in_schema=False)


@router.get("/web/chart.json")
def chart(
    request: Request,
    tenant: Tenant,
    state: AppState,
    pool: Name = "lab",
    family: Name | None = None,
    teacher: Teacher | None = None,
    divergence: Divergence | None = None,
    prediction: Name | None = None,
) -> Response:
    """Answer with the plot's specification, the message above it and the rows of its table.

    A pool that is not there is an answer, too, without a plot: people type its name.
    """
    read: ChartReader = request.app.state.read_chart
    wanted = Whose.named(family, teacher, divergence) if family is not None else None
    unknown = None
    try:
        with state.database.read() as session:
            found = read(session, tenant, pool, wanted, prediction)
    except UnknownPool as error:
        found, unknown = ChartData(), error.detail
    content = {
        "spec": law_chart(found.observations, found.curve, found.prediction) if unknown is None else None,
        "message": unknown or law_message(pool, found),
        "fit": {"id": found.fit.id, "name": words.short_id(found.fit.id), "n": found.fit.n}
        if found.fit is not None
        else None,
        "alarms": alarms(found.fit),
        "law": found.curve.law.query if found.curve is not None else None,
        "laws": laws(found.observations, found.curve, found.fit),
        "level": words.level(found.curve.level) if found.curve is not None else None,
        "branches": [
            {"link": one.link, "text": f"if {words.side(one.link, one.weight)}"} for one in found.prediction.branches
        ]
        if found.prediction is not None
        else [],
        "observations": observation_rows(found.observations, found.curve),
    }
    return JSONResponse(content, headers=PAGE_HEADERS)


@router.get("/web/sizes.json")
def sizes(tenant: Tenant, state: AppState, fit: Name) -> Response:
    """Answer with one sentence on the slope by model size for each law whose family has several sizes."""
    with state.database.read() as session:
        found = data.read_sizes(session, tenant, fit, state.settings.models)
    said = [{"law": FamilyRecipe(one.family, law_key(one)).query, "message": sizes_message(one)} for one in found]
    return JSONResponse({"laws": [one for one in said if one["message"] is not None]}, headers=PAGE_HEADERS)


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


@router.get("/web/outcomes")
def outcomes(request: Request, tenant: Tenant, state: AppState, fit: Name) -> Response:
    """Render how past predictions turned out: a sentence, the plot's specification and a table."""
    with state.database.read() as session:
        pool, calibration, points = data.read_outcomes(session, tenant, fit)
    context = {
        "message": outcomes_message(pool, calibration),
        "forecasts": words.forecasts(calibration.forecasts) if calibration.forecasts is not None else None,
        "spec": outcomes_chart(points) if points else None,
        "outcomes": points[::-1],
    }
    return fragment(request, "outcomes.html", context)


PAGES = (
    *(home, chosen, prediction_page, run_page, decision_pages, measured_pages, steering),
    *(import_page, law_page, list_pages),
)
ROUTES = [route for one in PAGES for route in one.router.routes] + router.routes


def mount(app: FastAPI, read_chart: ChartReader) -> None:
    """Add the pages to the application; `read_chart` is where the plot of the law has its data from."""
    app.state.read_chart = read_chart
    app.router.routes += ROUTES
    app.mount("/static", PageFiles(directory=static_directory), name="static")
    app.mount("/docs", Docs(), name="docs")
