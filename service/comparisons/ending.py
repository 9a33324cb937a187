"""The end of a comparison: probes and predictions of every configuration, and the winner's second one."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject
from gapcast.contract.probes import ProbeConfiguration, ProbeResult, ProbeSize
from service.comparisons.configuring import Contestant
from service.comparisons.models import Comparison
from service.comparisons.story import Story
from service.fits.service import Current
from service.predictions import service as predictions
from service.predictions.service import Question
from service.probes import service as probes


def answer_of(
    session: Session, comparison: Comparison, found: Sequence[Contestant], story: Story, law: Current, job_id: str
) -> JsonObject:
    """Store what was measured as probes and predictions, and return where each is."""
    predicted = {}
    for place, result in sorted(story.measured.items()):
        one = found[place]
        own = one.own.model_copy(update={"problems": result.gap.problems})
        predicted[str(place)] = _predicted(session, comparison, one, own, result, law, job_id)
    if story.leader is None or story.second is None:
        raise RuntimeError(f"{comparison.id} ends without a winner")
    winner = found[story.leader]
    second = _predicted(session, comparison, winner, winner.second, story.second, law, job_id)
    return {"predictions": predicted, "winner": story.leader, "second": second}


def _predicted(
    session: Session,
    comparison: Comparison,
    one: Contestant,
    configuration: ProbeConfiguration,
    result: ProbeResult,
    law: Current,
    job_id: str,
) -> str:
    probe = probes.keep(session, comparison.tenant, configuration, job_id, result)
    size = {name: getattr(configuration, name) for name in ("problems", "rollouts", "seed", "controls", "engine")}
    request = one.request.model_copy(update={"probe": ProbeSize(**size)})
    question = Question(request, one.family, law, configuration, one.most)
    return predictions.add_answered(session, comparison.tenant, question, probe)
