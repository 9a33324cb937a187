"""The page of one prediction: how far it is, or what it says, what came of its runs, and the offer to train it."""

from collections.abc import Iterable
from itertools import count
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from gapcast import words
from gapcast.contract.events import ProbeProgress
from gapcast.contract.lists import TrainingRunQuery
from gapcast.contract.predictions import PredictionOut
from gapcast.contract.training_results import TrainingRunOut
from service.dependencies import AppState, State, Tenant
from service.predictions import service as predictions
from service.training_runs import service as training_runs
from service.web.again import ways_to_predict
from service.web.answer_plot import answer_plot
from service.web.data import LEVEL
from service.web.details import detail
from service.web.doing import QUARTERS, doing, newest, place
from service.web.facts import answer_facts
from service.web.lists import PREDICTIONS
from service.web.rollouts import flips
from service.web.run_facts import came, judged
from service.web.theme import SHAPES

router = APIRouter(include_in_schema=False)

MOST_RUNS = 100
"""of a prediction, among which a free seed is looked for"""
MOST_FLIPS = 4
"""that are shown beside an answer; its probe has them all"""
REPEATABLE = frozenset({"failed", "cancelled", "dead"})
"""a run that left no observation may be repeated with its seed"""


@router.get("/predictions/{prediction_id}")
def show(request: Request, tenant: Tenant, state: AppState, prediction_id: str) -> Response:
    """Show one prediction."""
    return shown(request, tenant, state, prediction_id)


def shown(
    request: Request, tenant: str, state: State, prediction_id: str, refused: str = "", status: int = 200
) -> Response:
    """Show one prediction, and why something could not be done with it.

    Raises:
        NotFound: the tenant has none of this id.
    """
    with state.database.read() as session:
        prediction = predictions.found(session, tenant, prediction_id)
        its_runs = TrainingRunQuery(prediction_id=prediction_id, limit=MOST_RUNS)
        runs = training_runs.page(session, tenant, its_runs).data
        context = _progress(session, tenant, prediction)
        if prediction.status == "succeeded":
            context |= _answer(session, prediction, runs[::-1])
    context |= {
        "title": PREDICTIONS.row(prediction).name,
        "prediction": prediction,
        "seed": _free_seed(runs),
        "again": ways_to_predict(str(request.base_url), prediction.request),
        "refused": refused,
    }
    going_on = not prediction.ended or any(not run.ended for run in runs)
    return detail(
        *(request, "prediction.html", PREDICTIONS, prediction.id, context),
        live=going_on,
        has_events=not prediction.ended,
        status=status,
    )


def _progress(session: Session, tenant: str, prediction: PredictionOut) -> dict[str, Any]:
    job_id = predictions.state_of(session, tenant, prediction.id).job_id
    last = newest(session, tenant, job_id, [*words.HAPPENED, ProbeProgress.type])
    progress = prediction.progress if last is None or last.type == ProbeProgress.type else None
    at = doing(last, words.STATES[prediction.status], prediction.waiting)
    return {
        "progress": progress,
        "quarter": QUARTERS * progress.done // progress.total if progress is not None else None,
        "doing": at,
        "step": place(prediction.waiting) or at,
    }


def _answer(session: Session, prediction: PredictionOut, runs: list[TrainingRunOut]) -> dict[str, Any]:
    return {
        **answer_facts(prediction),
        "came": came(prediction, runs),
        "runs": [(run, judged(run.predicted)) for run in runs],
        "plot": answer_plot(prediction, runs),
        "law_chart": f"/web/chart.json?{urlencode({'prediction': prediction.id})}",
        "law_level": words.level(LEVEL),
        "shapes": SHAPES,
        "flips": flips(session, prediction.probe_id, MOST_FLIPS) if prediction.probe_id is not None else [],
    }


def _free_seed(runs: Iterable[TrainingRunOut]) -> int:
    """The first seed that none of these runs has, but for those that may be repeated."""
    taken = {run.seed for run in runs if run.status not in REPEATABLE}
    return next(seed for seed in count() if seed not in taken)
