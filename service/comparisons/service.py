"""Comparisons: ask, pass on from job to job, and end with a winner."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject, Page
from gapcast.contract.comparison_jobs import ComparisonConfiguration, PartResult
from gapcast.contract.comparisons import ComparisonOut, ComparisonRequest, Rules
from gapcast.contract.events import ComparisonCreated, Ended
from gapcast.contract.lists import ComparisonQuery
from gapcast.contract.needs import JobNeeds
from gapcast.contract.spaces import Space
from gapcast.contract.waiting import Queue
from service.comparisons import repository, stored
from service.comparisons.configuring import Contest, Contestant, contest_of, first_plan, questions
from service.comparisons.ending import Answers, answers_of, store
from service.comparisons.models import PENDING, Comparison, ComparisonPart
from service.comparisons.presenting import show
from service.comparisons.repository import ComparisonState
from service.comparisons.stored import StoredContest
from service.comparisons.story import Story
from service.events import repository as events
from service.fits import service as fits
from service.fits.service import Current
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.jobs.service import Settle, require_room, waiting_of
from service.kit.database import Database, WriteSession
from service.kit.each import for_each
from service.kit.errors import Conflict, NotFound
from service.kit.idempotency import Idempotency, claim_key, was_used
from service.kit.ids import new_id
from service.predictions import repository as prediction_rows
from service.predictions.service import law_for
from service.settings import Settings

KIND = "comparison"
QUEUE: Queue = "probes"
"""of its jobs"""


def law_of(database: Database, tenant: str, request: Space, settings: Settings) -> Current:
    """Return the law that all configurations are compared under; a fit that is due is made here.

    Raises:
        UnknownModel: no worker can load the first one's.
        UnknownPool: there is no such pool.
    """
    return for_each(request.asked[:1], lambda one: law_for(database, tenant, one, settings), request.where)[0]


def prepare(
    database: Database,
    tenant: str,
    request: ComparisonRequest,
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> Contest | StoredContest | None:
    """Look up all that is compared before anything is locked; None for a key that was used: what it has made answers.

    Raises:
        UnknownModel: no worker can load the first one's.
        UnknownPool: there is no such pool.
        InvalidRequest: a configuration cannot be probed, or the budget is too small.
    """
    with database.read() as session:
        if was_used(session, tenant, idempotency):
            return None
    law = law_of(database, tenant, request, settings)
    with database.read() as session:
        if not request.is_probed:
            return stored.contest_of(session, tenant, request, law, settings)
        return contest_of(session, tenant, request, law, settings)


def create(
    session: WriteSession,
    tenant: str,
    request: ComparisonRequest,
    contest: Contest | StoredContest | None,
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> str:
    """Store a comparison and the jobs of its first round; returns its id.

    Args:
        session: a session that writes.
        tenant: who asks.
        request: what is compared.
        contest: what `prepare` has made of it.
        settings: how many jobs of this tenant may wait.
        idempotency: key and hash of the body.

    Raises:
        TooManyJobs: there is no room for its jobs.
    """
    comparison_id = new_id("cmp")
    if idempotency is not None:
        first = claim_key(session, tenant, *idempotency, comparison_id)
        if first != comparison_id:
            return first
    if contest is None:
        raise ValueError("only the request of a key that was used comes without what it compares")
    if isinstance(contest, StoredContest):
        stored.store(session, tenant, comparison_id, request, contest)
        return comparison_id
    found, law, split = contest
    comparison = repository.add(
        session,
        {
            "id": comparison_id,
            "tenant": tenant,
            "name": request.name,
            "tags": request.tags,
            "request": request.model_dump(mode="json"),
            "pool": law.fit.pool,
            "fit_id": law.fit.id,
            "members": {
                "list": [one.model_dump(mode="json") for one in found],
                "equal_split": split,
            },
            "status": PENDING,
            "round": 0,
        },
    )
    plan = first_plan(found)
    require_room(session, tenant, settings.max_queued_jobs, len(_by_model(found, plan)))
    events.add(session, tenant, comparison_id, ComparisonCreated(configurations=len(found)))
    _ask(session, comparison, found, plan)
    return comparison_id


def _by_model(found: Sequence[Contestant], places: Iterable[int]) -> list[list[int]]:
    """Places that one loaded model can measure, together."""
    groups: dict[str, list[int]] = {}
    for place in sorted(places):
        groups.setdefault(found[place].model_key, []).append(place)
    return list(groups.values())


def _ask(session: WriteSession, comparison: Comparison, found: Sequence[Contestant], plan: Mapping[int, int]) -> None:
    """Queue what the next round needs: one job a model; alone, it goes on by itself."""
    groups = _by_model(found, plan)
    for group in groups:
        wanted = {str(place): plan[place] for place in group}
        asked = {"of": group[0], "plan": wanted, "decides": len(groups) == 1, "second": None}
        _queue(session, comparison, found, asked)


def _queue(session: WriteSession, comparison: Comparison, found: Sequence[Contestant], asked: JsonObject) -> None:
    part_id = new_id("cpart")
    key = found[asked["of"]].model_key
    needs = JobNeeds.together(one.needs for one in found if one.model_key == key)
    job = jobs.add(session, tenant=comparison.tenant, kind=KIND, queue=QUEUE, subject_id=comparison.id, needs=needs)
    repository.add_part(
        session,
        {
            "id": part_id,
            "tenant": comparison.tenant,
            "comparison_id": comparison.id,
            "job_id": job.id,
            "round": comparison.round,
            "asked": asked,
        },
    )
    session.wake(QUEUE, job.id)


def configuration_of(session: Session, part: ComparisonPart) -> ComparisonConfiguration:
    """What a part's child does, from all that is known when it begins."""
    comparison = repository.by_id(session, part.comparison_id)
    found = [Contestant.model_validate(one) for one in comparison.members["list"]]
    request = ComparisonRequest.model_validate(comparison.request)
    # an attempt that was lost is no story: its rounds are measured again, from what is remembered of its rollouts
    story = Story.read([one for one in repository.parts(session, [comparison.id]) if one.row.id != part.id])
    asked = questions(found, fits.fixed(session, comparison.tenant, comparison.fit_id))
    key = found[part.asked["of"]].model_key
    members = [one.member(place) for place, one in enumerate(found) if one.model_key == key]
    own, plan = members[0].probe, part.asked["plan"]
    rules = {name: getattr(request, name) for name in Rules.model_fields}
    return ComparisonConfiguration(
        model=own.model,
        model_revision=own.model_revision,
        task=own.task,
        task_revision=own.task_revision,
        members=members,
        competitors=asked.competitors,
        laws=asked.records(),
        rules=Rules(**rules),
        known=[story.known.get(place) for place in range(len(found))],
        round=len(story.rounds),
        eliminated=story.eliminated,
        rollouts=story.rollouts,
        most_rollouts=most_rollouts(request, comparison),
        most_seconds=_seconds_left(request, story),
        plan=None if plan is None else {int(place): total for place, total in plan.items()},
        decides=part.asked["decides"],
        second=part.asked["second"],
    )


def most_rollouts(request: ComparisonRequest, comparison: Comparison) -> int | None:
    """Rollouts that choosing may take; None where only time is limited."""
    budget = request.budget
    if budget.rollouts is None and budget.gpu_hours is None and budget.minutes is None:
        return int(comparison.members["equal_split"])
    return budget.rollouts


def _seconds_left(request: ComparisonRequest, story: Story) -> float | None:
    left = []
    if request.budget.minutes is not None:
        left.append(request.budget.minutes * 60 - story.seconds)
    if request.budget.gpu_hours is not None:
        left.append(request.budget.gpu_hours * 3600 - max(story.gpu_hours * 3600, story.seconds))
    return min(left) if left else None


def answers_with(session: Session, job: Job, told: JsonObject) -> Answers | None:
    """Answer a comparison that ends with the result of this job; None if it goes on. Nothing is stored."""
    result = PartResult.model_validate(told)
    if result.second is None:
        return None
    part = repository.part_of(session, job.id)
    story = Story.read([one for one in repository.parts(session, [part.comparison_id]) if one.row.id != part.id])
    story.add(result)
    return _answers(session, repository.by_id(session, part.comparison_id), story)


def _answers(session: Session, comparison: Comparison, story: Story) -> Answers:
    found = [Contestant.model_validate(one) for one in comparison.members["list"]]
    law = fits.fixed(session, comparison.tenant, comparison.fit_id)
    return answers_of(session, comparison, found, story, law)


def advance(session: WriteSession, job: Job, answers: Answers | None) -> None:
    """Go on after a part of a comparison has ended, in the transaction that ends its job.

    Args:
        session: a session that writes.
        job: as it has ended.
        answers: what `answers_with` has computed; where nothing is, it is done here.
    """
    part = repository.part_of(session, job.id)
    comparison = repository.locked(session, part.comparison_id)
    if comparison.status != PENDING:
        return
    if job.state != JobState.succeeded:
        _end(session, comparison, JobState(job.state), {"error": job.error})
        return
    if repository.count_live(session, comparison.id, job.id):
        return  # the last job of a round goes on for all of them
    found = [Contestant.model_validate(one) for one in comparison.members["list"]]
    story = Story.read(repository.parts(session, [comparison.id]))
    result = PartResult.model_validate(part.result)
    repository.set_round(session, comparison.id, comparison.round + 1)
    session.refresh(comparison)
    if story.second is not None:
        kept = store(session, comparison, answers or _answers(session, comparison, story), job.id)
        _end(session, comparison, JobState.succeeded, {"answer": kept})
    elif story.stop is not None:
        asked = {"of": story.leader, "plan": None, "decides": False, "second": story.leader}
        _queue(session, comparison, found, asked)
    elif result.next:
        _ask(session, comparison, found, result.next)
    else:
        asked = {"of": part.asked["of"], "plan": None, "decides": True, "second": None}
        _queue(session, comparison, found, asked)


def _end(session: Session, comparison: Comparison, status: JobState, values: dict[str, Any]) -> None:
    if repository.end(session, comparison.id, {"status": status.value, **values}):
        told = Ended.model_validate({"error": values["error"]} if values.get("error") else {})
        events.add(session, comparison.tenant, comparison.id, told, f"comparison.{status}")


def cancel(session: WriteSession, tenant: str, comparison_id: str, settle: Settle) -> None:
    """Cancel a comparison and its jobs, which `settle` ends; what was measured is kept.

    Raises:
        NotFound: there is no such comparison.
        Conflict: it has ended.
    """
    state = state_of(session, tenant, comparison_id)
    # the jobs' rows first, as whoever ends a job does: two ends cannot wait for each other
    live = sorted(state.job_ids)
    for job_id in live:
        jobs.get(session, job_id, lock=True)
    comparison = repository.locked(session, comparison_id)
    if comparison.status != PENDING:
        raise Conflict(f"{comparison_id} has ended already and cannot be cancelled.")
    _end(session, comparison, JobState.cancelled, {})
    for job_id in live:
        asked = jobs.request_cancel(session, job_id)
        if asked is not None and JobState(asked.state).is_terminal:
            settle(session, asked)


def found(session: Session, tenant: str, comparison_id: str) -> ComparisonOut:
    """Read one comparison.

    Raises:
        NotFound: this tenant has none of this id.
    """
    comparison = repository.get(session, tenant, comparison_id)
    if comparison is None:
        raise _missing(comparison_id)
    wanted = comparison.answer or {}
    predicted = prediction_rows.by_ids(session, tenant, [*wanted.get("predictions", {}).values(), *_second(comparison)])
    parts = repository.parts(session, [comparison.id])
    waits = next((one.job for one in parts if one.job.state == JobState.queued), None)
    is_idle = all(one.job.state != JobState.running for one in parts)
    waiting = waiting_of(session, waits) if waits is not None and is_idle and comparison.status == PENDING else None
    return show(comparison, parts, predicted, waiting=waiting)


def _second(comparison: Comparison) -> list[str]:
    return [] if comparison.answer is None else [comparison.answer["second"]]


def state_of(session: Session, tenant: str, comparison_id: str) -> ComparisonState:
    """Read how far a comparison is.

    Raises:
        NotFound: this tenant has none of this id.
    """
    state = repository.state(session, tenant, comparison_id)
    if state is None:
        raise _missing(comparison_id)
    return state


def page(session: Session, tenant: str, wanted: ComparisonQuery) -> Page[ComparisonOut]:
    """Read one page of comparisons: of each the newest round, and no answer but the winner's."""
    rows = repository.page(session, tenant, wanted)
    parts = repository.parts(session, [row.id for row in rows])
    winners = prediction_rows.by_ids(session, tenant, [one for row in rows for one in _second(row)])
    shown = [show(row, [one for one in parts if one.row.comparison_id == row.id], winners, brief=True) for row in rows]
    return Page.of(shown, wanted.limit)


def _missing(comparison_id: str) -> NotFound:
    return NotFound(f"There is no comparison {comparison_id[:80]!r}.")
