"""Answers that are computed before a transaction that stores them: each takes the law some 50 ms."""

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy.orm import Session

from gapcast.contract.base import Failure, JsonObject
from gapcast.contract.contexts import context_key
from gapcast.contract.predictions import Answer, PredictionRequest
from gapcast.contract.probes import ProbeConfiguration, ProbeResult
from service.fits.asked import Asked
from service.fits.service import Current
from service.jobs.models import JobState
from service.predictions import repository
from service.predictions.answer import answer, gap_of
from service.predictions.models import Prediction
from service.probes import repository as probe_rows

log = structlog.get_logger()

_one_answer = threading.Lock()
"""held while the law answers: it gives the interpreter away some hundred times an answer, and eight answers at once
took twice the processor time that they take one after the other"""


class StoredProbe(NamedTuple):
    """A probe that has ended, which a request names."""

    id: str
    result: JsonObject


class Question(NamedTuple):
    """A request with names looked up and defaults filled in, which the answer records."""

    request: PredictionRequest
    family: str
    law: Current
    probe: ProbeConfiguration | None
    """None: it brings a gap, or names an imported probe"""
    most: int | None
    """problems of its task; None: it brings a gap, or they are not asked for any more"""
    stored: StoredProbe | None = None
    """None: it names no probe"""


class Answered(NamedTuple):
    """How a prediction ends, and the result of its probe that this is the answer to."""

    status: JobState
    values: JsonObject
    """the columns of its row"""
    result: JsonObject | None
    answer: Answer | None = None
    """that of its row; None: it has failed"""


def answer_to(session: Session, tenant: str, question: Question, result: JsonObject | None) -> Answered:
    """Answer a question under its law; a law that fails is an answer, too.

    Args:
        session: a session that reads.
        tenant: who asks.
        question: the request.
        result: its probe's, as it is stored; None: it brought a gap.
    """
    try:
        request = question.request
        measured = ProbeResult.model_validate(result) if result is not None else None
        asked = asked_of(request, question.family, question.probe, measured)
        near = repository.nearest(session, tenant, asked, request.context.kind, gap_of(request, measured).value)
        with _one_answer:
            given = answer(request, asked, question.law, measured, near)
    except Exception:
        log.exception("prediction_not_computed", request=question.request.name)
        error = Failure(code="law_error", message="The law could not be evaluated; the log has it.", category="server")
        return Answered(JobState.failed, {"error": error.model_dump()}, result)
    values = {"answer": given.model_dump(mode="json"), "fit_id": question.law.fit.id}
    return Answered(JobState.succeeded, values, result, given)


class Prepared(NamedTuple):
    """A question, and its answer where the gap is given, or was measured before."""

    question: Question
    answer: Answered | None


def prepared(
    session: Session, tenant: str, questions: Sequence[Question], measured: Mapping[str, JsonObject] | None = None
) -> list[Prepared]:
    """Answer the questions whose gap is known.

    Args:
        session: a session that reads.
        tenant: who asks.
        questions: of any laws.
        measured: results of probes by their keys that are about to be stored. A stored one goes before.
    """
    keys = {one.probe.key for one in questions if one.probe is not None}
    results = dict(measured or {})
    if keys:
        results |= {probe.key: probe.result for probe in probe_rows.find_all(session, tenant, keys) if probe.result}
    found = []
    for one in questions:
        result = one.stored.result if one.stored is not None else None
        if one.probe is not None and result is None:
            result = results.get(one.probe.key)
        is_known = one.probe is None or result is not None
        found.append(Prepared(one, answer_to(session, tenant, one, result) if is_known else None))
    return found


def question_of(session: Session, prediction: Prediction, law: Current) -> Question:
    """The question of a stored prediction."""
    request = PredictionRequest.model_validate(prediction.request)
    return Question(request, prediction.family, law, probe_of(session, prediction), None)


def probe_of(session: Session, prediction: Prediction) -> ProbeConfiguration | None:
    """What is measured for a stored prediction; None: it brought a gap, or its probe is imported."""
    if prediction.probe_id is None:
        return None
    return measured_by(probe_rows.by_id(session, prediction.probe_id).configuration)


def measured_by(configuration: JsonObject) -> ProbeConfiguration | None:
    """Read the configuration of a stored probe; None: it is imported."""
    if "source" in configuration:
        return None
    return ProbeConfiguration.model_validate(configuration, extra="ignore")


def asked_of(
    request: PredictionRequest, family: str, probe: ProbeConfiguration | None, result: ProbeResult | None
) -> Asked:
    """The run that a prediction is about; what was shown is known by its probe's template and task."""
    versions: dict[str, str] = {}
    if probe is not None:
        versions = {"template_version": probe.template_version, "task_revision": probe.task_revision}
    components = result.variance if result is not None else None
    return Asked(
        family=family,
        task=request.task,
        recipe=request.recipe,
        training_problems=request.trained_on.problems if request.trained_on is not None else None,
        context=context_key(request.context, **versions),
        model=request.model.name,
        gap_spread=components.sigma_d2 if components is not None else None,
        mode=request.decoding.mode,
    )
