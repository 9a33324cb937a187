"""The page at `/`, its plot's data, its static files and the headers that all of them carry."""

from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from sqlalchemy.orm import Session

from service.dependencies import ReadSession, Tenant
from service.web import form
from service.web.plots import ChartData, law_chart
from service.web.summary import families, law_message, observation_rows

HERE = Path(__file__).parent
static_directory = HERE / "static"
templates = Jinja2Templates(HERE / "templates")

PAGE_HEADERS = {
    # Vega runs with its expression interpreter, so no 'unsafe-eval'; pico.css draws its icons from data: URLs.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Name = Annotated[str, Query(min_length=1, max_length=255)]


class ChartReader(Protocol):
    """Reads what the plot shows; raises NotFound for a prediction that the tenant does not have."""

    def __call__(
        self, session: Session, tenant: str, pool: str, family: str | None, prediction_id: str | None
    ) -> ChartData:
        """Return observations, the curve of the family (of the prediction's, or the largest one) and the prediction."""
        ...


router = APIRouter(include_in_schema=False)


@router.get("/")
def page(request: Request, _tenant: Tenant, pool: Name = "lab") -> Response:
    """Serve the page; the browser fills it from the REST API."""
    context: dict[str, Any] = {
        "pool": pool,
        "context_options": form.CONTEXT_OPTIONS,
        "probe": form.PROBE,
        "recipe": form.RECIPE,
    }
    return templates.TemplateResponse(request, "page.html", context, headers=PAGE_HEADERS)


@router.get("/web/chart.json")
def chart(
    request: Request,
    tenant: Tenant,
    session: ReadSession,
    pool: Name = "lab",
    family: Name | None = None,
    prediction: Name | None = None,
) -> Response:
    """Answer with the plot's specification, the message above it and the rows of its table."""
    read: ChartReader = request.app.state.read_chart
    observations, curve, point = read(session, tenant, pool, family, prediction)
    shown = curve.family if curve is not None else family
    content = {
        "spec": law_chart(observations, curve, point),
        "message": law_message(pool, observations, shown),
        "family": shown,
        "families": families(observations),
        "level": curve.level if curve is not None else None,
        "observations": observation_rows(observations),
    }
    return JSONResponse(content, headers=PAGE_HEADERS)


class PageFiles(StaticFiles):
    """Static files with the page's headers; browsers ask whether a file has changed before they use a copy."""

    async def get_response(self, path: str, scope: Any) -> Response:  # noqa: ANN401
        """Serve one file."""
        response = await super().get_response(path, scope)
        response.headers.update(PAGE_HEADERS | {"Cache-Control": "no-cache"})
        return response


def mount(app: FastAPI, read_chart: ChartReader) -> None:
    """Add the page to the application; `read_chart` is where its plot's data come from."""
    app.state.read_chart = read_chart
    app.include_router(router)
    app.mount("/static", PageFiles(directory=static_directory), name="static")
