"""Comparisons over stored probes, measured here or imported: with nothing left to measure they end at once."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy.orm import Session

from gapcast.contract.comparison_jobs import PartResult
from gapcast.contract.comparisons import ComparisonRequest, Rules
from gapcast.contract.events import ComparisonCreated, Ended
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.probes import ProbeResult
from service import deciding
from service.comparisons import repository
from service.comparisons.configuring import Entry, questions
from service.comparisons.models import PENDING
from service.comparisons.rounds import known, round_of
from service.events import repository as events
from service.fits.asked import Asked
from service.fits.service import Current
from service.jobs.models import JobState
from service.kit.each import for_each
from service.kit.errors import InvalidRequest
from service.predictions.answering import Prepared, Question, asked_of, prepared
from service.predictions.service import add_answered, resolved
from service.settings import Settings


class Probed(Entry):
    """A configuration that names its probe; an `Entrant`."""

    asked: Asked
    result: ProbeResult

    @classmethod
    def of(cls, question: Question) -> "Probed":
        """Take a question that names a probe."""
        if question.stored is None:
            raise ValueError("the request names no probe")
        result = ProbeResult.model_validate(question.stored.result)
        asked = asked_of(question.request, question.family, question.probe, result)
        return cls(request=question.request, family=question.family, asked=asked, result=result)

    @property
    def paired(self) -> str:
        """The model and decoding of both arms."""
        return self.request.model_dump_json(include={"model", "decoding"}) + str(self.rollouts)

    @property
    def student(self) -> str:
        """The student's own scores: where they are the same ones, so were the samples."""
        counts = str(self.result.arms["student"].counts)
        return f"{self.paired} {hashlib.sha256(counts.encode()).hexdigest()}"

    @property
    def teacher(self) -> str:
        """Its probe, as none shares the self-teacher's samples."""
        return str(self.request.probe_id)

    @property
    def rollouts(self) -> int:
        """Of each problem and arm."""
        return self.result.arms["student"].rollouts

    @property
    def most(self) -> int:
        """All of its problems are measured."""
        return len(self.result.problem_ids or [])


class StoredContest(NamedTuple):
    """A comparison that has ended before it began.

    Attributes:
        contestants: its configurations. law: that they are compared under.
        decided: the only look. predictions: of each configuration.
    """

    contestants: list[Probed]
    law: Current
    decided: PartResult
    predictions: list[Prepared]


def contest_of(
    session: Session, tenant: str, request: ComparisonRequest, law: Current, settings: Settings
) -> StoredContest:
    """Decide between configurations that name their probes; a session that reads is enough.

    Raises:
        NotFound: there is no such probe.
        InvalidRequest: a probe has measured something else, or other problems than the first.
    """

    def question(one: PredictionRequest) -> Question:
        return resolved(session, tenant, one, law, settings)

    asked = for_each(request.asked, question, request.where)
    found = [Probed.of(one) for one in asked]
    seen = [_in_order(request, place, one, found[0]) for place, one in enumerate(found)]
    contest = questions(found, law)
    rules = deciding.Rules(**{name: getattr(request, name) for name in Rules.model_fields})
    decision = deciding.decide(contest.laws, contest.contest(), seen, rules, budget=0.0, round=1)
    part = PartResult(
        rounds=[round_of(decision, seen, 1, 0)], stop=decision.stop, eliminated=sorted(decision.eliminated)
    )
    return StoredContest(found, law, part, prepared(session, tenant, asked))


def _in_order(request: ComparisonRequest, place: int, one: Probed, first: Probed) -> deciding.Known:
    """What a probe knows, its problems in the order of the first one's.

    Raises:
        InvalidRequest: they are other problems.
    """
    ours, theirs = one.result.problem_ids or [], first.result.problem_ids or []
    differing = len(set(ours) ^ set(theirs))
    if differing:
        param = f"{request.where(place)}.probe_id"
        raise InvalidRequest(
            f"{param}: expected the {len(theirs)} problems of {first.request.probe_id}, got a probe of {len(ours)} in "
            f"which {differing} differ. Compare probes of the same problems.",
            param=param,
            value=one.request.probe_id,
        )
    places = {problem: index for index, problem in enumerate(ours)}
    measured = known(one.result)
    order = np.array([places[problem] for problem in theirs])
    return measured._replace(differences=measured.differences[order])


def store(
    session: Session, tenant: str, comparison_id: str, request: ComparisonRequest, contest: StoredContest
) -> None:
    """Store a comparison with its predictions and its end."""
    found: Sequence[Entry] = contest.contestants
    comparison = repository.add(
        session,
        {
            "id": comparison_id,
            "tenant": tenant,
            "name": request.name,
            "tags": request.tags,
            "request": request.model_dump(mode="json"),
            "pool": contest.law.fit.pool,
            "fit_id": contest.law.fit.id,
            "members": {
                "list": [one.model_dump(mode="json", include={"request", "family"}) for one in found],
                "equal_split": 0,
                "decided": contest.decided.model_dump(mode="json"),
            },
            "status": PENDING,
            "round": 1,
        },
    )
    events.add(session, tenant, comparison.id, ComparisonCreated(configurations=len(found)))
    predictions = {str(place): add_answered(session, tenant, one) for place, one in enumerate(contest.predictions)}
    leader = contest.decided.rounds[-1].leader
    answer = {"predictions": predictions, "winner": leader, "second": predictions[str(leader)]}
    repository.end(session, comparison.id, {"status": JobState.succeeded.value, "answer": answer})
    events.add(session, tenant, comparison.id, Ended(), "comparison.succeeded")
