"""The page of one training run: how far it is, and what it measured beside what was predicted."""

from fastapi import APIRouter, Request, Response

from gapcast import words
from gapcast.contract.events import TrainingMetrics, TrainingProgress, TrainingResumed
from service.dependencies import AppState, State, Tenant
from service.training_runs import service as training_runs
from service.web.again import ways_to_train
from service.web.details import detail
from service.web.doing import QUARTERS, doing, newest, place
from service.web.lists import TRAINING_RUNS
from service.web.run_data import live_forecast
from service.web.run_facts import judgement, run_facts

router = APIRouter(include_in_schema=False)


@router.get("/training_runs/{run_id}")
def show(request: Request, tenant: Tenant, state: AppState, run_id: str) -> Response:
    """Show one training run."""
    return shown(request, tenant, state, run_id)


def shown(request: Request, tenant: str, state: State, run_id: str, refused: str = "", status: int = 200) -> Response:
    """Show one training run, and why something could not be done with it.

    Raises:
        NotFound: the tenant has none of this id.
    """
    with state.database.read() as session:
        run = training_runs.found(session, tenant, run_id)
        job_id = training_runs.state_of(session, tenant, run_id).job_id
        lasting = words.HAPPENED.keys() - {TrainingResumed.type}
        asked = newest(session, tenant, job_id, [*words.ASKED, *lasting])
        last = newest(session, tenant, job_id, [*words.HAPPENED, TrainingProgress.type])
        metrics = newest(session, tenant, job_id, [TrainingMetrics.type])
    progress = run.progress if run.progress is not None and run.progress.phase != "baseline" else None
    if asked is not None and asked.type in words.ASKED:
        last = asked
    at = doing(last, words.STATES[run.status], run.waiting)
    forecast = live_forecast(state, tenant, run)
    context = {
        "title": TRAINING_RUNS.row(run).name,
        "run": run,
        "progress": progress,
        "quarter": QUARTERS * progress.done // progress.total if progress is not None else 0,
        "doing": words.sentence(at),
        "step": place(run.waiting) or at,
        "metrics": TrainingMetrics.model_validate(metrics.data, extra="ignore") if metrics is not None else None,
        "verdict": judgement(run) if run.ended else None,
        "forecast": forecast,
        "known": list(run_facts(run, forecast)),
        "again": ways_to_train(str(request.base_url), run),
        "refused": refused,
    }
    return detail(request, "training_run.html", TRAINING_RUNS, run.id, context, live=not run.ended, status=status)
