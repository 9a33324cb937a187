"""From the configurations that are to be compared to what decisions and workers take."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from pydantic import BaseModel
from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject
from gapcast.contract.comparison_jobs import Competitor, Member
from gapcast.contract.comparisons import FIRST, ComparisonRequest
from gapcast.contract.contexts import context_key
from gapcast.contract.needs import JobNeeds
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.probes import ProbeConfiguration, ProbeSize
from gapcast.contract.spaces import Space
from service import deciding
from service.fits.asked import Asked
from service.fits.laws import Answering, Target
from service.fits.service import Current
from service.jobs.needs import needs_of
from service.kit.each import for_each
from service.kit.errors import InvalidRequest
from service.law import GapLaw, Probe
from service.predictions.service import resolved
from service.settings import Settings

USUAL_GAP, USUAL_VARIANCE = 0.15, 0.02
"""of a question that is only asked whether the law knows its context"""


class Entry(BaseModel):
    """One configuration with its names looked up, whether it is to be probed or has been."""

    request: PredictionRequest
    family: str


class Entrant(Protocol):
    """A configuration as decisions take it: `service.deciding.Configuration` says what its texts mean."""

    request: PredictionRequest

    @property
    def asked(self) -> Asked:
        """Its run, in the law's terms."""

    @property
    def paired(self) -> str:
        """The model and decoding of both arms."""

    @property
    def student(self) -> str:
        """What the student's samples depend on, but for the problem."""

    @property
    def teacher(self) -> str:
        """What the self-teacher's samples depend on."""

    @property
    def rollouts(self) -> int:
        """Of each problem and arm."""

    @property
    def most(self) -> int:
        """Problems that it may have."""


class Contestant(Entry):
    """A configuration that is to be probed."""

    own: ProbeConfiguration
    """the probe that it would have alone"""
    most: int
    """problems of the task"""
    needs: JobNeeds = JobNeeds()
    """of a worker that probes it"""

    @property
    def model_key(self) -> str:
        """What is loaded for it."""
        return self.own.model_dump_json(include={"model", "model_revision", "model_options", "engine"})

    @property
    def asked(self) -> Asked:
        """Its run, in the law's terms."""
        request, versions = self.request, self.own.model_dump(include={"template_version", "task_revision"})
        trained = request.trained_on
        return Asked(
            family=self.family,
            task=request.task,
            recipe=request.recipe,
            training_problems=trained.problems if trained is not None else None,
            context=context_key(request.context, **versions),
            model=request.model.name,
            mode=request.decoding.mode,
        )

    @property
    def student(self) -> str:
        """What the student's samples depend on, but for the problem."""
        return self.own.model_dump_json(
            include={"model", "model_revision", "model_options", "engine", "decoding", "rollouts", "seed"}
        )

    @property
    def paired(self) -> str:
        """The model and decoding of both arms."""
        return self.student

    @property
    def teacher(self) -> str:
        """What the self-teacher's samples depend on."""
        return self.own.model_dump_json(exclude={"problems", "controls"})

    @property
    def rollouts(self) -> int:
        """Of each problem and arm."""
        return self.own.rollouts

    @property
    def probe(self) -> ProbeConfiguration:
        """Its probe in the comparison: no control but `none`, unless some were asked for."""
        return self.own.model_copy(update={"problems": self.most})

    @property
    def second(self) -> ProbeConfiguration:
        """Its probe as the winner: other samples, and with a placebo."""
        controls = ["placebo"] if not self.own.controls and not self.own.context.is_control else self.own.controls
        seed = (self.own.seed + 1) % 2**32
        return self.own.model_copy(update={"seed": seed, "controls": controls})

    def member(self, place: int) -> Member:
        """What a worker is given of it."""
        return Member(place=place, probe=self.probe, second=self.second)


class Questions(NamedTuple):
    """What decisions are made from: the laws, and every configuration's question to one of them."""

    competitors: list[Competitor]
    laws: list[GapLaw]

    def records(self) -> list[JsonObject]:
        """The laws as a child reads them."""
        return [law.to_record() for law in self.laws]

    def contest(self) -> list[deciding.Configuration]:
        """The configurations as decisions take them."""
        return [deciding.Configuration(**dict(one)) for one in self.competitors]


class Contest(NamedTuple):
    """A comparison that can begin.

    Attributes:
        contestants: its configurations. law: that they are compared under.
        equal_split: rollouts of every configuration's own probe.
    """

    contestants: list[Contestant]
    law: Current
    equal_split: int


def contest_of(session: Session, tenant: str, request: ComparisonRequest, law: Current, settings: Settings) -> Contest:
    """Look up all that is compared, and ask the law where it may be; a session that reads is enough.

    Raises:
        InvalidRequest: a configuration cannot be probed, or the budget is too small.
    """
    found = contestants(session, tenant, request, law, settings)
    contest = questions(found, law).contest()
    require_first_round(request, found, contest)
    return Contest(found, law, equal_split(found, contest))


def contestants(session: Session, tenant: str, request: Space, law: Current, settings: Settings) -> list[Contestant]:
    """Look up the names of every configuration.

    Raises:
        InvalidRequest: names the fields of the configurations that cannot be probed.
    """

    def contestant(one: PredictionRequest) -> Contestant:
        if not one.is_probed:
            raise InvalidRequest(
                "probe_id: expected a configuration whose gap is measured here, got a stored probe. Send `probe`, or "
                "nothing, in place of probe_id.",
                param="probe_id",
                value=one.probe_id,
            )
        question = resolved(session, tenant, _uncontrolled(one), law, settings)
        needs = needs_of(settings.models, one.model.name, one.probe.needs if one.probe is not None else None)
        return Contestant(
            request=question.request, family=question.family, own=question.probe, most=question.most, needs=needs
        )

    return for_each(request.asked, contestant, request.where)


def _uncontrolled(one: PredictionRequest) -> PredictionRequest:
    """A configuration whose probe runs no control but `none` unless some were asked for: the winner's second does."""
    size = one.probe or ProbeSize()
    if size.controls is not None:
        return one
    return one.model_copy(update={"probe": size.model_copy(update={"controls": []})})


def questions(found: Sequence[Entrant], law: Current) -> Questions:
    """Make every configuration's question, under the law of its dose and of the problems that decide."""
    laws: list[GapLaw] = []
    competitors = []
    for place, one in enumerate(found):
        target = Target(one.request.verdict_on)
        answering = law.laws.answering(target, one.request.recipe.steps) or Answering(law.law, None)
        index = next((i for i, known in enumerate(laws) if known is answering.law), len(laws))
        if index == len(laws):
            laws.append(answering.law)
        question = _question(one, law)
        competitors.append(
            Competitor(
                law=index,
                question=question,
                paired=_paired(place, one, question, index, answering.law),
                student=one.student,
                teacher=one.teacher,
                rollouts=one.rollouts,
                most=one.most,
            )
        )
    return Questions(competitors, laws)


def _question(one: Entrant, law: Current) -> JsonObject:
    """The fields of a law's question, but for what is measured."""
    request, asked = one.request, one.asked
    return {
        "family": asked.family,
        "cell": asked.leaf(law.summary),
        "teacher": request.recipe.law_teacher,
        "divergence": request.recipe.divergence,
        "context": asked.context,
        "model": asked.model,
        "improvement_var": 0.0,
    }


def _paired(place: int, one: Entrant, question: Mapping[str, object], index: int, law: GapLaw) -> str:
    """Whose gaps it may be tested against: those of its model, law and cell, unless the law knows its context."""
    fields = {name: value for name, value in question.items() if name != "context"}
    asked = Probe(gap=USUAL_GAP, gap_var=USUAL_VARIANCE, context=question["context"], **fields)  # type: ignore[arg-type]
    known = law.predict_improvement(asked).context_known
    if known is not None and str(known) != "new":
        return f"{place}"
    return f"{index} {fields['cell']} {fields['family']} {one.paired}"


def equal_split(found: Sequence[Contestant], contest: Sequence[deciding.Configuration]) -> int:
    """Rollouts of every configuration's own probe, what they share counted once."""
    return deciding.cost(contest, {}, {place: one.own.problems for place, one in enumerate(found)})


def first_plan(found: Sequence[Contestant]) -> dict[int, int]:
    """The first round: the same few problems for everybody."""
    return {place: min(FIRST, one.most) for place, one in enumerate(found)}


def require_first_round(
    request: ComparisonRequest, found: Sequence[Contestant], contest: Sequence[deciding.Configuration]
) -> None:
    """Refuse a budget that ends before everybody was looked at once.

    Raises:
        InvalidRequest: says what the first round takes.
    """
    asked, least = request.budget.rollouts, deciding.cost(contest, {}, first_plan(found))
    if asked is not None and asked < least:
        raise InvalidRequest(
            f"budget.rollouts: expected at least {least}, what the first round of {min(FIRST, found[0].most)} problems "
            f"takes with {len(found)} configurations, got {asked}. Raise it, or compare fewer.",
            param="budget.rollouts",
            value=asked,
        )
