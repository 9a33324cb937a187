"""The buttons of the pages: forms that cancel, pause and resume what goes on, and that train a prediction."""

from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from gapcast.contract.training import TrainingRunRequest
from service.comparisons import service as comparisons
from service.dependencies import AppState, State, Tenant
from service.external_runs import service as external_runs
from service.kit.database import WriteSession
from service.kit.errors import GapcastError, InvalidRequest
from service.kit.problems import field_problems
from service.kit.threads import in_writing_thread
from service.predictions import service as predictions
from service.probes import service as probes
from service.recommendations import service as recommendations
from service.training_runs import service as training_runs
from service.web import decision_pages, measured_pages, prediction_page, run_page
from service.web.details import Show

router = APIRouter(include_in_schema=False)

Steer = Callable[[WriteSession, str, str, State], None]
SHOWN: dict[str, Show] = {
    "predictions": prediction_page.shown,
    "training_runs": run_page.shown,
    "comparisons": decision_pages.comparison_shown,
    "recommendations": decision_pages.recommendation_shown,
    "probes": measured_pages.probe_shown,
    "external_runs": measured_pages.external_run_shown,
}
STEERS: dict[tuple[str, str], Steer] = {
    ("predictions", "cancel"): lambda session, tenant, one, _: predictions.cancel(session, tenant, one),
    ("training_runs", "cancel"): lambda session, tenant, one, _: training_runs.cancel(session, tenant, one),
    ("training_runs", "pause"): lambda session, tenant, one, _: training_runs.pause(session, tenant, one),
    ("training_runs", "resume"): lambda session, tenant, one, state: training_runs.resume(
        session, tenant, one, state.settings
    ),
    ("comparisons", "cancel"): lambda session, tenant, one, state: comparisons.cancel(
        session, tenant, one, state.settle
    ),
    ("recommendations", "cancel"): lambda session, tenant, one, state: recommendations.cancel(
        session, tenant, one, state.settle
    ),
    ("probes", "cancel"): lambda session, tenant, one, state: probes.cancel(session, tenant, one, state.settle),
    ("external_runs", "cancel"): lambda session, tenant, one, _: external_runs.cancel(session, tenant, one),
}
"""by the list that a thing belongs to, and the button"""


def _done(request: Request, tenant: str, state: State, path: str, one_id: str, change: Callable[[], str]) -> Response:
    """Do what a button says and show its address; if it is refused, show the page that it is on, and why."""
    try:
        address = change()
    except GapcastError as error:
        return SHOWN[path](request, tenant, state, one_id, error.detail, error.status)
    return RedirectResponse(address, status_code=303)


def _steer(path: str, verb: str) -> Callable[..., object]:
    async def steer(request: Request, tenant: Tenant, state: AppState, one_id: str) -> Response:
        def change() -> str:
            with state.database.write() as session:
                STEERS[path, verb](session, tenant, one_id, state)
            return f"/{path}/{quote(one_id)}"

        return await in_writing_thread(partial(_done, request, tenant, state, path, one_id, change))

    return steer


for _path, _verb in STEERS:
    router.add_api_route(f"/{_path}/{{one_id}}/{_verb}", _steer(_path, _verb), methods=["POST"])


@router.post("/predictions/{one_id}/train")
async def train(request: Request, tenant: Tenant, state: AppState, one_id: str) -> Response:
    """Train what a prediction is about with the seed of the form, and show the run."""
    sent = dict(parse_qsl((await request.body()).decode(errors="replace")))

    def change() -> str:
        try:
            asked = TrainingRunRequest.model_validate({"prediction_id": one_id, "seeds": [sent.get("seed")]})
        except ValidationError as error:
            raise InvalidRequest(" ".join(one.with_value for one in field_problems(error.errors()))) from None
        with state.database.write() as session:
            run_id = training_runs.create(session, tenant, asked, state.settings, None)
        return f"/training_runs/{quote(run_id)}"

    return await in_writing_thread(partial(_done, request, tenant, state, "predictions", one_id, change))
