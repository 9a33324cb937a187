"""Rounds of a comparison of three configurations, and their end as a worker brings it about."""

from typing import Any

from gapcast.contract.comparison_jobs import PartResult
from gapcast.contract.comparisons import Round, Standing
from gapcast.contract.predictions import Interval
from gapcast.contract.probes import Arm, Gap
from service.comparisons import repository
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kinds import prepare, settle
from service.kit.database import Database
from tests.support.results import PROBLEMS, probe_result

VALUES = (0.2, 0.3, -0.1)


def standing(place: int, mean: float, **change: Any) -> Standing:
    fields = {
        "place": place,
        "problems": 32,
        "gap": mean,
        "gap_se": 0.04,
        "value": mean,
        "interval": Interval(level=0.8, lower=mean - 0.1, upper=mean + 0.1),
        "p_best": (0.096, 0.9, 0.004)[place],
        "p_picked": 0.5,
        "loss": 0.01,
        "eliminated": place == 2,
    }
    return Standing.model_validate(fields | change)


def first_round(**change: Any) -> Round:
    fields = {
        "number": 1,
        "rollouts": 640,
        "standings": [standing(place, value) for place, value in enumerate(VALUES)],
        "leader": 1,
        "picked": [1],
        "p_best_picked": 0.9,
        "alike": [0],
    }
    return Round.model_validate(fields | change)


def measured(gap: float) -> Any:
    found = Gap(value=gap, se=0.04, student=0.25, self_teacher=0.25 + gap, problems=PROBLEMS, rollouts=2)
    arms = {name: Arm.model_validate(one) for name, one in probe_result().model_dump()["arms"].items()}
    return probe_result(gap=found, arms=arms)


def end_part(database: Database, job_id: str, state: JobState = JobState.succeeded, **change: Any) -> None:
    """End the only job of a comparison, which has begun."""
    fields = {
        "measured": {place: measured(value) for place, value in enumerate(VALUES)},
        "rounds": [first_round()],
        "eliminated": [2],
        "stop": "indifferent",
        "second": measured(0.25),
        "rollouts": 640,
        "seconds": 4.2,
        "loads": 1,
    }
    error = {"code": "e", "message": "it broke", "param": None, "category": "user"}
    result = PartResult.model_validate(fields | change).model_dump(mode="json")
    with database.read() as session:
        job = jobs.get(session, job_id)
    assert job is not None
    prepared = prepare(database, job, result) if state == JobState.succeeded else None
    with database.write() as session:
        if state == JobState.succeeded:
            repository.store_result(session, job_id, result)
        ended = jobs.finish(session, job_id, 1, state, error if state == JobState.failed else None)
        assert ended is not None
        settle(session, ended, prepared)
