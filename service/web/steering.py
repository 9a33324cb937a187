"""The buttons of the pages: forms that cancel, pause and resume what goes on, and that train a prediction."""

from collections.abc import Callable
from urllib.parse import quote

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
from service.web.sent import Sent, sent_fields, value_of

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
"""by the list that a thing belongs to, and what its button says"""


def _change(tenant: str, state: State, path: str, one_id: str, sent: Sent) -> str:
    """Do what a button says; returns the address that shows it."""
    verb = value_of(sent, "do") or ""
    if (path, verb) == ("predictions", "train"):
        return _train(tenant, state, one_id, sent)
    steer = STEERS.get((path, verb))
    if steer is None:
        raise InvalidRequest(f"do: expected a button of this page, got {verb[:80]!r}.", param="do")
    with state.database.write() as session:
        steer(session, tenant, one_id, state)
    return f"/{path}/{quote(one_id)}"


def _train(tenant: str, state: State, one_id: str, sent: Sent) -> str:
    """Train what a prediction is about with the seed of the form; returns the address of the run."""
    try:
        asked = TrainingRunRequest.model_validate({"prediction_id": one_id, "seeds": [value_of(sent, "seed")]})
    except ValidationError as error:
        raise InvalidRequest(" ".join(one.with_value for one in field_problems(error.errors()))) from None
    with state.database.write() as session:
        run_id = training_runs.create(session, tenant, asked, state.settings, None)
    return f"/training_runs/{quote(run_id)}"


def _steer(path: str) -> Callable[..., object]:
    async def steer(request: Request, tenant: Tenant, state: AppState, one_id: str) -> Response:
        sent = await sent_fields(request)

        def change() -> Response:
            try:
                address = _change(tenant, state, path, one_id, sent)
            except GapcastError as error:
                return SHOWN[path](request, tenant, state, one_id, error.detail, error.status)
            return RedirectResponse(address, status_code=303)

        return await in_writing_thread(change)

    return steer


for _path in SHOWN:
    # where it is shown, so that the address stays if it is refused
    router.add_api_route(f"/{_path}/{{one_id}}", _steer(_path), methods=["POST"])
