"""Parts of the page that the server renders: predictions, training runs, comparisons, recommendations and outcomes."""

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from gapcast import comparison_words, recommendation_words, words
from gapcast.contract.comparisons import COMPARED_AT, ComparisonOut
from gapcast.contract.events import ProbeProgress, TrainingMetrics, TrainingProgress, TrainingResumed
from gapcast.contract.lists import ComparisonQuery, PredictionQuery, RecommendationQuery, TrainingRunQuery
from gapcast.contract.recommendations import RecommendationOut
from gapcast.contract.training_results import TrainingRunOut
from gapcast.contract.waiting import Waiting
from service.comparisons import service as comparisons
from service.dependencies import AppState, Tenant
from service.events import repository as events
from service.events.models import Event
from service.predictions import service as predictions
from service.recommendations import service as recommendations
from service.training_runs import service as training_runs
from service.web import data
from service.web.compared import compared_rows, comparison_facts
from service.web.facts import answer_facts, judged, judgement, run_facts
from service.web.gains_plot import gains_plot
from service.web.intervals_plot import intervals_plot
from service.web.outcome_plot import outcomes_chart
from service.web.recommended import candidates, recommendation_facts, step_rows
from service.web.rendering import fragment
from service.web.run_data import live_forecast
from service.web.summary import outcomes_message

router = APIRouter(prefix="/web", include_in_schema=False)

Name = Annotated[str, Query(min_length=1, max_length=255)]
MOST_ROWS = 10
MOST_RUNS = 100
"""of a prediction, among which a free seed is looked for"""
REPEATABLE = frozenset({"failed", "cancelled", "dead"})
"""a run that left no observation may be repeated with its seed"""
QUARTERS = 4
"""of a probe or a run, at which its progress is spoken"""


@router.get("/predictions")
def list_predictions(request: Request, tenant: Tenant, state: AppState, opened: Name | None = None) -> Response:
    """Render the newest predictions; the one that is opened is marked."""
    with state.database.read() as session:
        page = predictions.page(session, tenant, PredictionQuery(limit=MOST_ROWS))
    return fragment(request, "predictions.html", {"predictions": page.data, "opened": opened})


@router.get("/predictions/{prediction_id}")
def show_prediction(request: Request, tenant: Tenant, state: AppState, prediction_id: str) -> Response:
    """Render a prediction: how far it is, or what it says and the offer to train it."""
    with state.database.read() as session:
        prediction = predictions.found(session, tenant, prediction_id)
        job_id = predictions.state_of(session, tenant, prediction_id).job_id
        last = _newest(session, tenant, job_id, [*words.HAPPENED, ProbeProgress.type])
        its_runs = TrainingRunQuery(prediction_id=prediction_id, limit=MOST_RUNS)
        runs = training_runs.page(session, tenant, its_runs).data
    progress = prediction.progress if last is None or last.type == ProbeProgress.type else None
    doing = _doing(last, words.STATES[prediction.status], prediction.waiting)
    context = {
        "prediction": prediction,
        "progress": progress,
        "quarter": QUARTERS * progress.done // progress.total if progress is not None else None,
        "doing": doing,
        "step": _place(prediction.waiting) or doing,
        "runs": runs[::-1],
        "seed": _free_seed(runs),
        **(answer_facts(prediction) if prediction.status == "succeeded" else {}),
    }
    return fragment(request, "prediction.html", context)


def _free_seed(runs: Iterable[TrainingRunOut]) -> int:
    """The first seed that none of these runs has, but for those that may be repeated."""
    taken = {run.seed for run in runs if run.status not in REPEATABLE}
    return next(seed for seed in count() if seed not in taken)


@router.get("/training_runs")
def list_training_runs(request: Request, tenant: Tenant, state: AppState, opened: Name | None = None) -> Response:
    """Render the newest training runs; the one that is opened is marked."""
    with state.database.read() as session:
        page = training_runs.page(session, tenant, TrainingRunQuery(limit=MOST_ROWS))
    judgements = [judged(run.predicted) for run in page.data]
    return fragment(
        request, "training_runs.html", {"runs": list(zip(page.data, judgements, strict=True)), "opened": opened}
    )


@router.get("/training_runs/{run_id}")
def show_training_run(request: Request, tenant: Tenant, state: AppState, run_id: str) -> Response:
    """Render a training run: how far it is, and what it measured beside what was predicted."""
    with state.database.read() as session:
        run = training_runs.found(session, tenant, run_id)
        job_id = training_runs.state_of(session, tenant, run_id).job_id
        lasting = words.HAPPENED.keys() - {TrainingResumed.type}
        asked = _newest(session, tenant, job_id, [*words.ASKED, *lasting])
        last = _newest(session, tenant, job_id, [*words.HAPPENED, TrainingProgress.type])
        metrics = _newest(session, tenant, job_id, [TrainingMetrics.type])
    progress = run.progress if run.progress is not None and run.progress.phase != "baseline" else None
    if asked is not None and asked.type in words.ASKED:
        last = asked
    doing = _doing(last, words.STATES[run.status], run.waiting)
    context = {
        "run": run,
        "progress": progress,
        "quarter": QUARTERS * progress.done // progress.total if progress is not None else 0,
        "doing": words.sentence(doing),
        "step": _place(run.waiting) or doing,
        "metrics": TrainingMetrics.model_validate(metrics.data, extra="ignore") if metrics is not None else None,
        "verdict": judgement(run) if run.ended else None,
        "known": list(run_facts(run, live_forecast(state, tenant, run))),
    }
    return fragment(request, "training_run.html", context)


def _newest(session: Session, tenant: str, job_id: str | None, kinds: Iterable[str]) -> Event | None:
    return events.newest(session, tenant, job_id, kinds) if job_id is not None else None


def _doing(last: Event | None, otherwise: str, waiting: Waiting | None) -> str:
    """What a job does, by the newest event that says so; where it waits and more is known, what it waits for."""
    why = words.waits(waiting)
    if why != words.waits(None):
        return why
    said: Mapping[str, str] = words.HAPPENED | words.ASKED
    if last is None:
        return otherwise
    if last.type == TrainingProgress.type:
        return words.PHASES[TrainingProgress.model_validate(last.data, extra="ignore").phase]
    return said.get(last.type, otherwise)


def _place(waiting: Waiting | None) -> str:
    """Tell apart what is worth speaking of while a job waits: who is ahead, but not for how much longer."""
    if waiting is None:
        return ""
    return f"{waiting.workers > 0} {waiting.ahead} {waiting.running.id if waiting.running is not None else ''}"


@router.get("/comparisons")
def list_comparisons(request: Request, tenant: Tenant, state: AppState, opened: Name | None = None) -> Response:
    """Render the newest comparisons; the one that is opened is marked."""
    with state.database.read() as session:
        page = comparisons.page(session, tenant, ComparisonQuery(limit=MOST_ROWS))
    return fragment(request, "comparisons.html", {"comparisons": page.data, "opened": opened})


@router.get("/comparisons/{comparison_id}")
def show_comparison(request: Request, tenant: Tenant, state: AppState, comparison_id: str) -> Response:
    """Render a comparison: what to train, and every configuration as far as it has been measured."""
    with state.database.read() as session:
        found = comparisons.found(session, tenant, comparison_id)
        doing = _comparing(session, tenant, found)
    answer = found.winner.answer if found.winner is not None else None
    advice = comparison_words.advice(found)
    context = {
        "comparison": found,
        "advice": advice,
        "colour": advice.verdict or ("refused" if found.status in {"failed", "dead"} else ""),
        "doing": doing,
        "missing": [one.message for one in answer.support.missing] if answer is not None and answer.support else [],
        "warnings": [words.warning(one) for one in [*found.warnings, *(answer.warnings if answer is not None else [])]],
        "known": list(comparison_facts(found)),
        "plot": intervals_plot(found),
        "level": COMPARED_AT,
        "rows": list(compared_rows(found)),
    }
    return fragment(request, "comparison.html", context)


def _comparing(session: Session, tenant: str, found: ComparisonOut) -> str:
    """What a comparison does: how far it is, or the newest thing that happened to one of its jobs."""
    if found.ended:
        return ""
    if found.progress is not None:
        return comparison_words.progress(found.progress)
    job_ids = comparisons.state_of(session, tenant, found.id).job_ids
    happened = [one for job_id in job_ids if (one := _newest(session, tenant, job_id, words.HAPPENED)) is not None]
    return _doing(max(happened, key=lambda one: one.id, default=None), words.STATES[found.status], found.waiting)


@router.get("/recommendations")
def list_recommendations(request: Request, tenant: Tenant, state: AppState, opened: Name | None = None) -> Response:
    """Render the newest recommendations; the one that is opened is marked."""
    with state.database.read() as session:
        page = recommendations.page(session, tenant, RecommendationQuery(limit=MOST_ROWS))
    return fragment(request, "recommendations.html", {"recommendations": page.data, "opened": opened})


@router.get("/recommendations/{recommendation_id}")
def show_recommendation(request: Request, tenant: Tenant, state: AppState, recommendation_id: str) -> Response:
    """Render a recommendation: what to do first, the steps of its plan, and how far they are."""
    with state.database.read() as session:
        plan = recommendations.found(session, tenant, recommendation_id)
        doing = _executing(session, tenant, plan)
    first = plan.plan[0].action if plan.best is None else "train"
    colours = {"failed": "refused", "dead": "refused", "cancelled": ""}
    context = {
        "plan": plan,
        "advice": recommendation_words.advice(plan),
        "colour": colours.get(plan.status, {"train": "train", "stop": "skip"}.get(first, "")),
        "number": recommendation_words.under_way(plan),
        "doing": doing,
        "warnings": [words.warning(one) for one in plan.warnings],
        "known": list(recommendation_facts(plan)),
        "plot": gains_plot(plan),
        "steps": list(step_rows(plan)),
        "candidates": candidates(plan),
    }
    return fragment(request, "recommendation.html", context)


class _Doing(NamedTuple):
    """What is under way, and how much of it is done."""

    text: str
    done: int = 0
    total: int = 0


def _executing(session: Session, tenant: str, plan: RecommendationOut) -> _Doing:
    """How far the step is that an executed plan is at: rollouts of its comparison, or steps of its runs."""
    step = plan.plan[recommendation_words.under_way(plan)]
    if plan.ended:
        return _Doing("")
    if step.comparison_id is not None:
        found = comparisons.found(session, tenant, step.comparison_id)
        at = found.progress
        return _Doing(_comparing(session, tenant, found), *((at.done, at.total) if at is not None else ()))
    runs = training_runs.several(session, tenant, step.training_run_ids).values()
    going = [run for run in runs if not run.ended]
    total = sum(run.configuration.recipe.steps for run in runs)
    left = sum(run.configuration.recipe.steps - (run.progress.done if run.progress is not None else 0) for run in going)
    text = f"{len(runs) - len(going)} of {words.count(len(runs), 'run')} ended; step {total - left:,} of {total:,}"
    return _Doing(text, total - left, total)


@router.get("/outcomes")
def show_outcomes(request: Request, tenant: Tenant, state: AppState, fit: Name) -> Response:
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
