"""Pilots of an executed plan: those that go on are the ones whose forecasts end highest."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gapcast.contract.base import Failure
from gapcast.contract.events import RecommendationPiloted
from gapcast.contract.recommendations import Step
from gapcast.contract.training_results import TrainingRunOut
from service.events import repository as events
from service.forecasts import service as forecasts
from service.jobs.models import JobState
from service.kit.database import Database, WriteSession
from service.recommendations.models import Recommendation
from service.settings import Settings
from service.training_runs import service as runs

NOT_FINISHED = "pilot_not_finished"


class Chosen(NamedTuple):
    """What becomes of piloted runs.

    Attributes:
        finished: those that go on.
        cancelled: the others that wait.
        expected: each one's improvement at its last step, by its forecast; those that a rule has stopped have none.
    """

    finished: list[str]
    cancelled: list[str]
    expected: Mapping[str, float]


def choose(database: Database, tenant: str, held: Sequence[TrainingRunOut], finish: int, settings: Settings) -> Chosen:
    """Choose among runs that have put themselves aside; those that a rule has stopped do not go on.

    Nothing is locked meanwhile.

    Raises:
        GapcastError: a run cannot be forecast.
    """
    expected: dict[str, float] = {}
    for one in held:
        if one.held == "pilot":
            with database.read() as session:
                run = runs.found(session, tenant, one.id)
            if run.held != "pilot":
                continue  # somebody else has resumed or cancelled it
            expected[one.id] = forecasts.of_run(database, tenant, run, settings).now.expected
    finished = sorted(expected, key=lambda run_id: -expected[run_id])[:finish]
    return Chosen(finished, [one.id for one in held if one.id not in finished], expected)


def go_on(
    session: WriteSession, row: Recommendation, number: int, step: Step, chosen: Chosen, settings: Settings
) -> bool:
    """Resume the chosen ones and cancel the others, and write that into the step; False if one has moved meanwhile.

    Args:
        session: a session that writes and holds the row.
        row: the recommendation.
        number: of the step, from 1.
        step: that one.
        chosen: what becomes of its runs.
        settings: how many jobs may wait.

    Raises:
        TooManyJobs: there is no room for the runs.
    """
    for run_id in (*chosen.finished, *chosen.cancelled):
        at = runs.state_of(session, row.tenant, run_id, lock=True)
        if at.state != JobState.paused or not at.held:
            return False
    for run_id in chosen.finished:
        runs.resume(session, row.tenant, run_id, settings)
    for run_id in chosen.cancelled:
        runs.cancel(session, row.tenant, run_id, _why(row.id, run_id, chosen))
    step.finished_run_ids = chosen.finished
    if chosen.finished:
        told = RecommendationPiloted(
            number=number, finished_run_ids=chosen.finished, cancelled_run_ids=chosen.cancelled
        )
        events.add(session, row.tenant, row.id, told)
    return True


def _why(recommendation_id: str, run_id: str, chosen: Chosen) -> Failure:
    expected = chosen.expected.get(run_id)
    if expected is None:
        message = f"A rule had stopped this run, so {recommendation_id}, which piloted it, has cancelled it."
    elif not chosen.finished:
        message = f"{recommendation_id}, which piloted this run, does not finish it."
    else:
        least = min(chosen.expected[other] for other in chosen.finished)
        message = (
            f"{recommendation_id} piloted this run and finishes {' and '.join(chosen.finished)} instead. Expected "
            f"improvement: {100 * expected:.1f} points here, {100 * least:.1f} or more there."
        )
    return Failure(code=NOT_FINISHED, message=message, category="user")
