"""Recommendations: make a plan, store it, and start it if that is asked for."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from gapcast.contract.base import Page
from gapcast.contract.events import RecommendationCreated
from gapcast.contract.lists import RecommendationQuery
from gapcast.contract.recommendations import RecommendationOut, RecommendationRequest, Step
from service.comparisons import service as comparisons
from service.events import repository as events
from service.fits.service import Current
from service.jobs.service import Settle
from service.kit.database import Database, WriteSession
from service.kit.each import for_each
from service.kit.errors import Conflict, NotFound
from service.kit.idempotency import Idempotency, claim_key
from service.kit.ids import new_id
from service.recommendations import repository
from service.recommendations.advising import Advice, advise
from service.recommendations.executing import begin, finish, run_of
from service.recommendations.models import EXECUTING, Recommendation
from service.recommendations.presenting import run_ids, show
from service.settings import Settings
from service.training_runs import service as runs
from service.training_runs.configuring import plan as plan_run


class Advised(NamedTuple):
    """A plan and the law that it is made by."""

    advice: Advice
    law: Current


def plan(database: Database, tenant: str, request: RecommendationRequest, settings: Settings) -> Advised:
    """Make a plan; nothing is locked meanwhile.

    Raises:
        UnknownModel, UnknownTask, UnknownPool, InvalidRequest: configurations cannot be probed, or trained where the
            plan is to be executed, each named by its place; nothing tells what a run costs; or the budget is below one
            run.
    """
    law = comparisons.law_of(database, tenant, request, settings)
    with database.read() as session:
        advice = advise(session, tenant, request, law, settings)
        if request.execute:
            pool = law.fit.pool
            for_each(request.asked, lambda one: plan_run(session, tenant, run_of(one, pool), settings), request.where)
    if advice is None:
        raise RuntimeError("a budget that buys no run is refused")
    return Advised(advice, law)


def create(
    session: WriteSession,
    tenant: str,
    request: RecommendationRequest,
    advised: Advised,
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> str:
    """Store a plan, and start its first step if that is asked for; returns its id.

    Raises:
        TooManyJobs: there is no room for the first step's jobs.
    """
    recommendation_id = new_id("rec")
    if idempotency is not None:
        first = claim_key(session, tenant, *idempotency, recommendation_id)
        if first != recommendation_id:
            return first
    advice, law = advised
    steps = [step.model_copy(deep=True) for step in advice.steps]
    executes = request.execute and steps[0].action != "stop"
    row = repository.add(
        session,
        {
            "id": recommendation_id,
            "tenant": tenant,
            "name": request.name,
            "tags": request.tags,
            "request": request.model_dump(mode="json"),
            "task": request.asked[0].task,
            "pool": law.fit.pool,
            "fit_id": law.fit.id,
            "advice": advice.model_dump(mode="json"),
            "steps": [step.model_dump(mode="json") for step in steps],
            "begun": 0,
            "status": EXECUTING,
        },
    )
    created = RecommendationCreated(configurations=len(request.asked), execute=request.execute)
    events.add(session, tenant, recommendation_id, created)
    if executes:
        begin(session, row, settings, steps, 0, [], law)
        repository.set_steps(session, recommendation_id, [step.model_dump(mode="json") for step in steps], 1)
    else:
        finish(session, row, "succeeded")
    return recommendation_id


def cancel(session: WriteSession, tenant: str, recommendation_id: str, settle: Settle) -> None:
    """Cancel a plan that is executed, and all that it has started.

    Raises:
        NotFound: there is no such recommendation.
        Conflict: it has ended.
    """
    row = repository.get(session, tenant, recommendation_id, lock=True)
    if row is None:
        raise _missing(recommendation_id)
    if row.status != EXECUTING:
        raise Conflict(f"{recommendation_id} has ended already and cannot be cancelled.")
    steps = [Step.model_validate(one) for one in row.steps]
    step = steps[row.begun - 1]
    step.status = "cancelled"
    if step.comparison_id is not None and not comparisons.state_of(session, tenant, step.comparison_id).ended:
        comparisons.cancel(session, tenant, step.comparison_id, settle)
    for run_id in step.training_run_ids:
        if not runs.state_of(session, tenant, run_id).state.is_terminal:
            runs.cancel(session, tenant, run_id)
    repository.set_steps(session, row.id, [one.model_dump(mode="json") for one in steps], row.begun)
    finish(session, row, "cancelled")


class RecommendationState(NamedTuple):
    """The subjects whose events are a recommendation's, and whether it has ended."""

    subjects: list[str]
    ended: bool


def state_of(session: Session, tenant: str, recommendation_id: str) -> RecommendationState:
    """Read how far one is.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = _get(session, tenant, recommendation_id)
    subjects = [row.id]
    for step in row.steps:
        comparison_id = step["comparison_id"]
        if comparison_id is not None:
            subjects += [comparison_id, *comparisons.state_of(session, tenant, comparison_id).job_ids]
        for run_id in step["training_run_ids"]:
            subjects += [run_id, runs.state_of(session, tenant, run_id).job_id]
    return RecommendationState(subjects, row.status != EXECUTING)


def found(session: Session, tenant: str, recommendation_id: str) -> RecommendationOut:
    """Read one.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = _get(session, tenant, recommendation_id)
    return show(row, runs.several(session, tenant, run_ids(row)))


def page(session: Session, tenant: str, wanted: RecommendationQuery) -> Page[RecommendationOut]:
    """Read one page."""
    rows = repository.page(session, tenant, wanted)
    started = runs.several(session, tenant, [run_id for row in rows for run_id in run_ids(row)])
    return Page.of([show(row, started) for row in rows], wanted.limit)


def _get(session: Session, tenant: str, recommendation_id: str) -> Recommendation:
    row = repository.get(session, tenant, recommendation_id)
    if row is None:
        raise _missing(recommendation_id)
    return row


def _missing(recommendation_id: str) -> NotFound:
    return NotFound(f"There is no recommendation {recommendation_id[:80]!r}.")
