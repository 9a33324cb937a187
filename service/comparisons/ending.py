"""The end of a comparison: probes and predictions of every configuration, and the winner's second one."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject
from gapcast.contract.probes import ProbeConfiguration, ProbeResult, ProbeSize
from service.comparisons.configuring import Contestant
from service.comparisons.models import Comparison
from service.comparisons.story import Story
from service.fits.service import Current
from service.predictions import service as predictions
from service.predictions.answering import Prepared, Question, prepared
from service.probes import service as probes


class Measured(NamedTuple):
    """One probe of a comparison, and the prediction that is made of it."""

    configuration: ProbeConfiguration
    result: ProbeResult
    asked: Prepared


class Answers(NamedTuple):
    """What a comparison answers, computed before anything is stored."""

    predictions: dict[int, Measured]
    """by place"""
    winner: int
    second: Measured
    """the winner's"""


def answers_of(
    session: Session, comparison: Comparison, found: Sequence[Contestant], story: Story, law: Current
) -> Answers:
    """Answer all configurations; a session that reads is enough.

    Raises:
        RuntimeError: the comparison has no winner yet.
    """
    if story.leader is None or story.second is None:
        raise RuntimeError(f"{comparison.id} ends without a winner")
    places, winner = sorted(story.measured), found[story.leader]
    probed = [
        (found[place], found[place].own.model_copy(update={"problems": result.gap.problems}), result)
        for place, result in sorted(story.measured.items())
    ]
    probed.append((winner, winner.second, story.second))
    questions = [_question(one, configuration, law) for one, configuration, _ in probed]
    results = {configuration.key: result.model_dump(mode="json") for _, configuration, result in probed}
    answered = prepared(session, comparison.tenant, questions, results)
    *firsts, second = (
        Measured(configuration, result, asked)
        for (_, configuration, result), asked in zip(probed, answered, strict=True)
    )
    return Answers(dict(zip(places, firsts, strict=True)), story.leader, second)


def _question(one: Contestant, configuration: ProbeConfiguration, law: Current) -> Question:
    size = {name: getattr(configuration, name) for name in ("problems", "rollouts", "seed", "controls", "engine")}
    request = one.request.model_copy(update={"probe": ProbeSize(**size)})
    return Question(request, one.family, law, configuration, one.most)


def store(session: Session, comparison: Comparison, answers: Answers, job_id: str) -> JsonObject:
    """Store what was measured as probes and predictions, and return where each is."""

    def predicted(one: Measured) -> str:
        probe = probes.keep(session, comparison.tenant, one.configuration, job_id, one.result)
        return predictions.add_answered(session, comparison.tenant, one.asked, probe)

    return {
        "predictions": {str(place): predicted(one) for place, one in answers.predictions.items()},
        "winner": answers.winner,
        "second": predicted(answers.second),
    }
