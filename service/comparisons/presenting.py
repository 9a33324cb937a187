"""A stored comparison as the API shows it."""

from collections.abc import Mapping, Sequence

from gapcast.contract.base import TERMINAL
from gapcast.contract.comparison_jobs import PartResult
from gapcast.contract.comparisons import (
    Compared,
    ComparisonOut,
    ComparisonRequest,
    Round,
    Spent,
    Standing,
    Winner,
)
from gapcast.contract.predictions import Answer
from gapcast.contract.waiting import Waiting
from service.comparisons.configuring import Entry
from service.comparisons.models import PENDING, Comparison
from service.comparisons.repository import Part
from service.comparisons.story import Story
from service.comparisons.warned import of_winner
from service.jobs.models import JobState
from service.kit.clock import rfc3339
from service.predictions.models import Prediction


def show(
    comparison: Comparison,
    parts: Sequence[Part],
    predicted: Mapping[str, Prediction],
    *,
    brief: bool = False,
    waiting: Waiting | None = None,
) -> ComparisonOut:
    """Show one; `predicted` are its predictions by id. In lists, which are `brief`, only the newest round."""
    request = ComparisonRequest.model_validate(comparison.request)
    found = [Entry.model_validate(one) for one in comparison.members["list"]]
    story, answer = Story.read(parts), comparison.answer or {}
    decided = comparison.members.get("decided")
    if decided is not None:
        story.add(PartResult.model_validate(decided))
    last = story.rounds[-1] if story.rounds else None
    status = _status(comparison, parts)
    running = next((part.job for part in parts if part.job.state == JobState.running), None)
    compared = [
        _compared(place, one, last, answer.get("predictions", {}).get(str(place)), predicted)
        for place, one in enumerate(found)
    ]
    winner = _winner(answer, last, predicted)
    return ComparisonOut.model_validate(
        {
            "id": comparison.id,
            "name": comparison.name,
            "tags": comparison.tags,
            "status": status,
            "request": request,
            "fit_id": comparison.fit_id,
            "pool": comparison.pool,
            "progress": running.progress if running is not None and status not in TERMINAL else None,
            "waiting": waiting,
            "configurations": sorted(compared, key=lambda one: _rank(one, last)),
            "rounds": story.rounds[-1:] if brief else story.rounds,
            "stopped_by": story.stop,
            "winner": winner,
            "alike": last.alike if last is not None else [],
            "picked": last.picked if last is not None else [],
            "p_best_picked": last.p_best_picked if last is not None else None,
            "spent": Spent(
                rollouts=story.rollouts,
                second_probe=_rollouts(story),
                equal_split=comparison.members["equal_split"],
                seconds=story.seconds,
                gpu_hours=story.gpu_hours,
                loads=story.loads,
            ),
            "warnings": of_winner(winner, compared, probed_again=decided is None) if winner is not None else [],
            "error": comparison.error,
            "created_at": rfc3339(comparison.created_at),
            "finished_at": rfc3339(comparison.finished_at) if comparison.finished_at else None,
        }
    )


def _status(comparison: Comparison, parts: Sequence[Part]) -> str:
    if comparison.status != PENDING:
        return comparison.status
    begun = any(part.job.attempt > 0 or part.job.state != JobState.queued for part in parts)
    return "running" if begun else "queued"


def _rank(one: Compared, last: Round | None) -> tuple[bool, bool, float, float, int]:
    """The leader first and the eliminated ones last; before the first round in the order of the request."""
    standing = one.standing
    if standing is None or last is None:
        return (False, False, 0.0, 0.0, one.place)
    value = standing.value if standing.value is not None else -1.0
    return (one.place != last.leader, standing.eliminated, -standing.p_best, -value, one.place)


def _compared(
    place: int, one: Entry, last: Round | None, prediction_id: str | None, predicted: Mapping[str, Prediction]
) -> Compared:
    standing: Standing | None = last.standings[place] if last is not None else None
    row = predicted.get(prediction_id) if prediction_id is not None else None
    answer = Answer.model_validate(row.answer) if row is not None and row.answer is not None else None
    return Compared(
        place=place,
        name=one.request.name or str(place),
        request=one.request,
        standing=standing,
        prediction_id=prediction_id,
        probe_id=row.probe_id if row is not None else None,
        answer=answer,
        gain_per_hour=_gain_per_hour(standing, answer),
    )


def _gain_per_hour(standing: Standing | None, answer: Answer | None) -> float | None:
    if standing is None or standing.value is None or answer is None or not answer.cost.training_seconds_estimate:
        return None
    return standing.value / answer.cost.training_seconds_estimate * 3600


def _winner(answer: Mapping[str, object], last: Round | None, predicted: Mapping[str, Prediction]) -> Winner | None:
    row = predicted.get(str(answer.get("second")))
    if row is None or row.answer is None or last is None:
        return None
    standing = last.standings[last.leader]
    return Winner(
        place=last.leader,
        prediction_id=row.id,
        answer=Answer.model_validate(row.answer),
        chosen_value=standing.value,
        chosen_interval=standing.interval,
    )


def _rollouts(story: Story) -> int:
    second = story.second
    if second is None:
        return 0
    return sum(arm.rollouts for arm in second.arms.values()) * (second.gap.problems or 0)
