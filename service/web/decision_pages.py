"""The pages of one comparison and of one recommendation: what to do, and how far what they ask for is."""

from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from gapcast import comparison_words, recommendation_words, words
from gapcast.contract.comparisons import COMPARED_AT
from gapcast.contract.recommendations import RecommendationOut
from service.comparisons import service as comparisons
from service.dependencies import AppState, State, Tenant
from service.recommendations import service as recommendations
from service.training_runs import service as training_runs
from service.web.again import ways_to_compare, ways_to_recommend
from service.web.compared import compared_rows, comparison_facts
from service.web.details import detail
from service.web.doing import comparing
from service.web.gains_plot import gains_plot
from service.web.intervals_plot import intervals_plot
from service.web.lists import COMPARISONS, RECOMMENDATIONS
from service.web.recommended import candidates, recommendation_facts, step_rows

router = APIRouter(include_in_schema=False)


@router.get("/comparisons/{comparison_id}")
def show_comparison(request: Request, tenant: Tenant, state: AppState, comparison_id: str) -> Response:
    """Show one comparison: what to train, and every configuration as far as it has been measured."""
    return comparison_shown(request, tenant, state, comparison_id)


def comparison_shown(
    request: Request, tenant: str, state: State, comparison_id: str, refused: str = "", status: int = 200
) -> Response:
    """Show one comparison, and why something could not be done with it.

    Raises:
        NotFound: the tenant has none of this id.
    """
    with state.database.read() as session:
        found = comparisons.found(session, tenant, comparison_id)
        doing = comparing(session, tenant, found)
    answer = found.winner.answer if found.winner is not None else None
    advice = comparison_words.advice(found)
    context = {
        "title": comparison_words.title(found),
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
        "again": ways_to_compare(str(request.base_url), found.request),
        "refused": refused,
    }
    return detail(request, "comparison.html", COMPARISONS, found.id, context, live=not found.ended, status=status)


@router.get("/recommendations/{recommendation_id}")
def show_recommendation(request: Request, tenant: Tenant, state: AppState, recommendation_id: str) -> Response:
    """Show one recommendation: what to do first, the steps of its plan, and how far they are."""
    return recommendation_shown(request, tenant, state, recommendation_id)


def recommendation_shown(
    request: Request, tenant: str, state: State, recommendation_id: str, refused: str = "", status: int = 200
) -> Response:
    """Show one recommendation, and why something could not be done with it.

    Raises:
        NotFound: the tenant has none of this id.
    """
    with state.database.read() as session:
        plan = recommendations.found(session, tenant, recommendation_id)
        doing = _executing(session, tenant, plan)
    first = plan.plan[0].action if plan.best is None else "train"
    colours = {"failed": "refused", "dead": "refused", "cancelled": ""}
    context = {
        "title": recommendation_words.title(plan),
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
        "again": ways_to_recommend(str(request.base_url), plan.request),
        "refused": refused,
    }
    return detail(request, "recommendation.html", RECOMMENDATIONS, plan.id, context, live=not plan.ended, status=status)


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
        return _Doing(comparing(session, tenant, found), *((at.done, at.total) if at is not None else ()))
    runs = training_runs.several(session, tenant, step.training_run_ids).values()
    going = [run for run in runs if not run.ended]
    total = sum(run.configuration.recipe.steps for run in runs)
    left = sum(run.configuration.recipe.steps - (run.progress.done if run.progress is not None else 0) for run in going)
    text = f"{len(runs) - len(going)} of {words.count(len(runs), 'run')} ended; step {total - left:,} of {total:,}"
    return _Doing(text, total - left, total)
