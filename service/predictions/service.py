"""Predictions: ask, share a probe, answer when it is measured."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject, Page
from gapcast.contract.events import Ended, EventData, PredictionCreated
from gapcast.contract.lists import PredictionQuery
from gapcast.contract.predictions import Answer, PredictionList, PredictionOut, PredictionRequest
from gapcast.contract.probes import ProbeSize
from gapcast.contract.waiting import Waiting
from service.catalog import service as catalog
from service.events import repository as events
from service.fits import service as fits
from service.fits.service import Current
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.jobs.needs import needs_of
from service.jobs.service import waiting_of
from service.kit.clock import rfc3339
from service.kit.database import Database, WriteSession
from service.kit.each import check_all, for_each
from service.kit.errors import Conflict, IdempotencyMismatch, InvalidRequest, NotFound
from service.kit.idempotency import Idempotency, answered_before, claim_key, remember, was_used
from service.kit.ids import new_id
from service.observations.service import find_pool
from service.predictions import repository
from service.predictions.answering import Answered, Prepared, Question, answer_to, prepared, question_of
from service.predictions.models import PENDING, Prediction
from service.predictions.naming import named_probe
from service.predictions.repository import PredictionState
from service.probes import repository as probe_rows
from service.probes import service as probes
from service.probes import sizing
from service.probes.configuring import configure, trained, trained_problems
from service.probes.models import Probe
from service.samples import service as samples
from service.settings import Settings
from service.tasks.service import find_task, known_task

log = structlog.get_logger()


def law_for(database: Database, tenant: str, request: PredictionRequest, settings: Settings) -> Current:
    """Return the law that answers a request; a fit that its pool is due is made here, before anything is locked.

    Raises:
        UnknownModel: no worker can load it, and no gap is given; the error names an unknown task and pool, too.
        UnknownPool: there is no such pool.
    """
    with _all_names(database, tenant, request, settings):
        return fits.current(database, tenant, _pool_of(request, settings))


def laws_for(
    database: Database, tenant: str, requests: Sequence[PredictionRequest], settings: Settings
) -> list[Current]:
    """Return the laws that answer several requests, likewise: one for all that ask the same pool.

    Raises:
        InvalidRequest: names each model and pool that is not there by its request's place.
    """
    laws: dict[str, Current] = {}

    def law(request: PredictionRequest) -> Current:
        with _all_names(database, tenant, request, settings):
            pool = _pool_of(request, settings)
            if pool not in laws:
                laws[pool] = fits.current(database, tenant, pool)
            return laws[pool]

    return for_each(requests, law)


@contextmanager
def _all_names(database: Database, tenant: str, request: PredictionRequest, settings: Settings) -> Iterator[None]:
    """Where the model or the pool of a request is not known, report all of its names that are not."""
    try:
        yield
    except IdempotencyMismatch:
        raise
    except InvalidRequest:
        pool = request.pool
        with database.read() as session:
            names = [] if not request.is_probed else [partial(find_task, session, tenant, request.task)]
            check_all(
                partial(_pool_of, request, settings),
                *names,
                *([] if pool is None else [partial(find_pool, session, tenant, pool)]),
            )
        raise


def _pool_of(request: PredictionRequest, settings: Settings) -> str:
    if request.is_probed:
        catalog.find_model(settings.models, request.model.name)
    return _named_pool(request, settings)


def _named_pool(request: PredictionRequest, settings: Settings) -> str:
    return request.pool or catalog.default_pool(catalog.listed_model(settings.models, request.model.name))


def prepare(
    database: Database,
    tenant: str,
    request: PredictionRequest,
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> list[Prepared]:
    """Look up what a request asks, and answer it if its gap is known, before anything is locked.

    Nothing is looked up for a key that was used: what it has made answers.

    Raises:
        UnknownModel: no worker can load it, and no gap is given.
        UnknownPool: there is no such pool.
        UnknownTask: there is no such task.
        InvalidRequest: the parts do not fit each other.
    """
    known = prepare_at_once(database, tenant, request, settings, idempotency)
    if known is not None:
        return known
    law = law_for(database, tenant, request, settings)
    with database.read() as session:
        return prepared(session, tenant, [resolved(session, tenant, request, law, settings)])


def prepare_at_once(
    database: Database,
    tenant: str,
    request: PredictionRequest,
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> list[Prepared] | None:
    """Do what `prepare` does, and raise as it does, with nothing to wait for; None where its pool is due a fit."""
    with _all_names(database, tenant, request, settings), database.read() as session:
        pool, is_used = repository.pool_and_use(session, tenant, _named_pool(request, settings), idempotency)
        if is_used:
            return []
        _pool_of(request, settings)
        law = fits.newest_of(session, pool) if pool is not None else None
        if law is None:
            return None
        return prepared(session, tenant, [resolved(session, tenant, request, law, settings)])


def prepare_all(
    database: Database,
    tenant: str,
    requests: Sequence[PredictionRequest],
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> list[Prepared]:
    """Do the same for several requests.

    Raises:
        InvalidRequest: names the fields that do not fit by their requests' places.
    """
    with database.read() as session:
        if was_used(session, tenant, idempotency):
            return []
    asked = list(zip(requests, laws_for(database, tenant, requests, settings), strict=True))
    with database.read() as session:
        return prepared(session, tenant, for_each(asked, lambda one: resolved(session, tenant, *one, settings)))


class Created(NamedTuple):
    """The id of a prediction that a request has made, now or before."""

    id: str
    shown: PredictionOut | None
    """as the API shows it; None: it was made before, or is not answered yet"""


def create(
    session: WriteSession,
    tenant: str,
    asked: Sequence[Prepared],
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> Created:
    """Store a prediction, with its answer where its probe is known.

    Args:
        session: a session that writes.
        tenant: who asks.
        asked: what `prepare` has made of the request.
        settings: how many jobs of this tenant may wait (TooManyJobs).
        idempotency: key and hash of the body.
    """
    prediction_id = new_id("pred")
    if idempotency is not None:
        first = claim_key(session, tenant, *idempotency, prediction_id)
        if first != prediction_id:
            return Created(first, None)
    stored = _store(session, tenant, {prediction_id: asked[0]}, _probes_of(session, tenant, asked, settings))
    return Created(prediction_id, stored[0])


def create_all(
    session: WriteSession,
    tenant: str,
    asked: Sequence[Prepared],
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> list[str]:
    """Store several predictions as `create` does, all of them or none; returns their ids in the same order.

    Args:
        session: a session that writes.
        tenant: who asks.
        asked: what `prepare_all` has made of the requests.
        settings: how many jobs of this tenant may wait (TooManyJobs).
        idempotency: key and hash of the whole body.
    """
    ids = [new_id("pred") for _ in asked]
    if idempotency is not None:
        batch_id = new_id("batch")
        if claim_key(session, tenant, *idempotency, batch_id) != batch_id:
            before: list[str] = answered_before(session, tenant, *idempotency)["ids"]
            return before
        remember(session, tenant, idempotency.key, {"ids": ids})
    _store(session, tenant, dict(zip(ids, asked, strict=True)), _probes_of(session, tenant, asked, settings))
    return ids


def add_answered(session: Session, tenant: str, asked: Prepared, probe: Probe | None = None) -> str:
    """Store a prediction of a probe that is measured, its own or one that it names, with its answer; returns its id."""
    prediction_id = new_id("pred")
    _store(session, tenant, {prediction_id: asked}, {probe.key: probe} if probe is not None else {})
    return prediction_id


def _probes_of(session: WriteSession, tenant: str, asked: Sequence[Prepared], settings: Settings) -> dict[str, Probe]:
    questions = [one.question for one in asked if one.question.stored is None]
    configurations = [
        (one.probe, needs_of(settings.models, one.probe.model, _size(one).needs))
        for one in questions
        if one.probe is not None
    ]
    found = probes.ensure_all(session, tenant, configurations, settings.max_queued_jobs)
    private = {one.probe.key for one in questions if one.probe is not None and not _keeps_samples(one)}
    for key in sorted(private):
        samples.refuse(session, tenant, found[key].id)
    return found


def _keeps_samples(question: Question) -> bool:
    return _size(question).samples


def _size(question: Question) -> ProbeSize:
    return question.request.probe or ProbeSize()


def _store(
    session: Session, tenant: str, asked: Mapping[str, Prepared], found: Mapping[str, Probe]
) -> list[PredictionOut | None]:
    """Store predictions by id, with an answer where the gap is known; `found` are their probes by key.

    Returns:
        those that are answered as the API shows them, and None for the others.
    """
    rows, answers = [], []
    told: list[tuple[str, str, EventData]] = []
    for prediction_id, (question, known) in asked.items():
        stored = question.stored
        probe = found[question.probe.key] if question.probe is not None and stored is None else None
        result = stored.result if stored is not None else probe.result if probe is not None else None
        is_known = question.probe is None or result is not None
        answer = _answer(session, tenant, question, known, result) if is_known else None
        answers.append(answer)
        probe_id = stored.id if stored is not None else probe.id if probe is not None else None
        told.append((prediction_id, PredictionCreated.type, PredictionCreated(probe_id=probe_id)))
        if answer is not None:
            told.append((prediction_id, *_ended(answer.status, answer.values)))
        rows.append(
            {
                "id": prediction_id,
                "tenant": tenant,
                "status": PENDING if answer is None else answer.status.value,
                "pool": question.law.fit.pool,
                "name": question.request.name,
                "tags": question.request.tags,
                "family": question.family,
                "probe_id": probe_id,
                "job_id": probe.job_id if probe is not None and result is None else None,
                "request": question.request.model_dump(mode="json"),
                **dict.fromkeys(("fit_id", "answer", "error")),
                **(answer.values if answer is not None else {}),
            }
        )
    predictions = repository.add_all(session, rows)
    events.add_all(session, tenant, told)
    return [
        _shown(prediction, None, question.request, answer.answer) if answer is not None else None
        for prediction, (question, _), answer in zip(predictions, asked.values(), answers, strict=True)
    ]


def _answer(
    session: Session, tenant: str, question: Question, known: Answered | None, result: JsonObject | None
) -> Answered:
    """Return the answer of a prediction whose probe has this result.

    It is what was `known` before the transaction, unless another result is stored by now.
    """
    if known is None or known.result != result:
        return answer_to(session, tenant, question, result)
    return known


def resolved(session: Session, tenant: str, request: PredictionRequest, law: Current, settings: Settings) -> Question:
    """Look up names and fill in defaults.

    Raises:
        UnknownTask: there is no such task.
        InvalidRequest: the parts do not fit each other, or no probe is large enough.
    """
    if request.probe_id is not None:
        return named_probe(session, tenant, request, law, settings)
    if request.gap is not None:
        return _given(session, tenant, request, law, settings)
    size = request.probe or ProbeSize()
    found = configure(
        session,
        tenant,
        settings.models,
        model=request.model,
        task=request.task,
        context=request.context,
        decoding=request.decoding,
        size=size,
        group_size=request.recipe.group_size,
        target_se=None,
    )
    family, configuration = found.family, found.configuration
    request = request.model_copy(update={"training": trained_problems(request.training, found.task)})
    if size.target_half_width is not None:
        target = sizing.target_se(law, request, family, size.target_half_width, max(request.levels))
        configuration = configuration.model_copy(update={"target_se": target})
    parts = {
        "model": found.reference,
        "decoding": configuration.decoding.model_copy(update={"evaluation": request.decoding.evaluation}),
        "probe": found.size,
        "pool": law.fit.pool,
        "recipe": catalog.tuned(settings.models, request.model.name, request.recipe),
    }
    return Question(request.model_copy(update=parts), family, law, configuration, found.task.train_problems)


def _given(session: Session, tenant: str, request: PredictionRequest, law: Current, settings: Settings) -> Question:
    """Fill in the pool and the run's problems of a request whose gap was measured elsewhere.

    Raises:
        InvalidRequest: the family is not known, or the run's problems do not fit the task.
    """
    family = catalog.family_of(settings.models, request.model)
    training = trained(request.training, known_task(session, tenant, request.task))
    recipe = catalog.tuned(settings.models, request.model.name, request.recipe)
    filled = request.model_copy(update={"pool": law.fit.pool, "training": training, "recipe": recipe})
    return Question(filled, family, law, None, None)


def _end(session: Session, prediction: Prediction, status: JobState, values: dict[str, Any]) -> None:
    if repository.end(session, prediction.id, {"status": status.value, **values}):
        kind, told = _ended(status, values)
        events.add(session, prediction.tenant, prediction.id, told, kind)


def _ended(status: JobState, values: Mapping[str, Any]) -> tuple[str, Ended]:
    """Return the type of the event that tells of an end, and its data."""
    return f"prediction.{status}", Ended.model_validate({"error": values["error"]} if values.get("error") else {})


def prepare_answers(database: Database, job: Job, result: JsonObject) -> dict[str, Answered]:
    """Answer the predictions that wait for this job, by their ids, before its end locks anything.

    Fits that their pools are due are made here. A fit that fails costs no measurement: the answer comes from the stored
    one, and says that it is behind.
    """
    with database.read() as session:
        pools = {(row.tenant, row.pool) for row in repository.waiting_for(session, job.id)}
    for tenant, pool in sorted(pools):
        try:
            fits.current(database, tenant, pool)
        except SQLAlchemyError:
            raise
        except Exception:
            log.exception("fit_not_made", pool=pool, job=job.id)
    with database.read() as session:
        return {one.id: answer_to(session, one.tenant, question, result) for one, question in _waiting(session, job)}


def _waiting(session: Session, job: Job) -> Iterator[tuple[Prediction, Question]]:
    """The predictions that wait for a job, each with the newest law that is stored: nothing is fitted here."""
    laws: dict[str, Current | None] = {}
    for prediction in repository.waiting_for(session, job.id):
        if prediction.pool not in laws:
            laws[prediction.pool] = fits.stored(session, find_pool(session, prediction.tenant, prediction.pool))
        law = laws[prediction.pool]
        if law is None:
            raise RuntimeError(f"{prediction.id} was stored before its pool was fitted")
        yield prediction, question_of(session, prediction, law)


def answer_waiting(session: Session, job: Job, known: Mapping[str, Answered]) -> None:
    """End every prediction that waits for this job, in the transaction that ends the job.

    Args:
        session: a session that writes.
        job: as it has ended.
        known: what `prepare_answers` has answered. One that was asked for since then is answered here.
    """
    if job.state != JobState.succeeded:
        for prediction in repository.waiting_for(session, job.id):
            _end(session, prediction, JobState(job.state), {"error": job.error})
        return
    result = None
    for prediction, question in _waiting(session, job):
        result = result or probe_rows.by_id(session, job.subject_id).result
        answer = _answer(session, prediction.tenant, question, known.get(prediction.id), result)
        _end(session, prediction, answer.status, answer.values)


def cancel(session: Session, tenant: str, prediction_id: str) -> None:
    """Cancel a prediction, and its probe's job when nobody else waits for it.

    Raises:
        NotFound: there is no such prediction.
        Conflict: it has ended.
    """
    row = repository.get(session, tenant, prediction_id)
    if row is None:
        raise missing(prediction_id)
    prediction, job = row
    # the job's row first, as whoever ends the job does: two ends cannot wait for each other
    if job is not None:
        jobs.get(session, job.id, lock=True)
    if not repository.end(session, prediction.id, {"status": JobState.cancelled.value}):
        raise Conflict(f"{prediction_id} has ended already and cannot be cancelled.")
    events.add(session, tenant, prediction_id, Ended(), "prediction.cancelled")
    if job is None or repository.waiting_for(session, job.id):
        return
    if not probe_rows.by_id(session, job.subject_id).wanted:
        jobs.request_cancel(session, job.id)


def missing(prediction_id: str) -> NotFound:
    """The error for an id that names no prediction of this tenant."""
    return NotFound(f"There is no prediction {prediction_id[:80]!r}.")


def answered(session: Session, tenant: str, prediction_id: str) -> Prediction:
    """Read a prediction that a run is compared with.

    Raises:
        NotFound: this tenant has none of this id.
        InvalidRequest: it has no answer.
    """
    row = repository.get(session, tenant, prediction_id)
    if row is None:
        raise missing(prediction_id)
    prediction = row[0]
    if prediction.answer is None:
        raise InvalidRequest(
            f"prediction_id: {prediction_id} does not have an answer ({prediction.status}), and a run is compared with "
            "an answer from before it. Wait for the prediction, or send its configuration without prediction_id.",
            param="prediction_id",
            value=prediction_id,
        )
    return prediction


def state_of(session: Session, tenant: str, prediction_id: str) -> PredictionState:
    """Read how far a prediction is.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = repository.state(session, tenant, prediction_id)
    if row is None:
        raise missing(prediction_id)
    return row


def status_of(prediction: Prediction, job: Job | None) -> str:
    """A pending prediction shows its job's state; a job that ended is about to end it."""
    if prediction.status != PENDING:
        return prediction.status
    return JobState.running if job is None or job.state != JobState.queued else JobState.queued


def found(session: Session, tenant: str, prediction_id: str) -> PredictionOut:
    """Read one prediction.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = repository.get(session, tenant, prediction_id)
    if row is None:
        raise missing(prediction_id)
    prediction, job = row
    return show(prediction, job, waiting_of(session, job) if job is not None and prediction.status == PENDING else None)


def found_all(session: Session, tenant: str, ids: Sequence[str]) -> PredictionList:
    """Read the predictions that `create_all` has made."""
    data = [show(*row) for row in repository.get_all(session, tenant, ids)]
    return PredictionList(data=data, first_id=ids[0], last_id=ids[-1], has_more=False)


def all_ended(session: Session, tenant: str, ids: Sequence[str]) -> bool:
    """Look if all of these have ended, but not at their answers: this is asked several times a second."""
    return not repository.any_pending(session, tenant, ids)


def page(session: Session, tenant: str, wanted: PredictionQuery) -> Page[PredictionOut]:
    """Read one page of predictions.

    Raises:
        UnknownPool: the filter names a pool that is not there.
    """
    if wanted.pool is not None:
        find_pool(session, tenant, wanted.pool)
    return Page.of([show(*row) for row in repository.page(session, tenant, wanted)], wanted.limit)


def show(prediction: Prediction, job: Job | None, waiting: Waiting | None = None) -> PredictionOut:
    """A stored prediction as the API shows it; its parts are validated once, which is most of a list's cost."""
    request = PredictionRequest.model_validate(prediction.request)
    answer = Answer.model_validate(prediction.answer) if prediction.answer else None
    return _shown(prediction, job, request, answer, waiting)


def _shown(
    prediction: Prediction,
    job: Job | None,
    request: PredictionRequest,
    answer: Answer | None,
    waiting: Waiting | None = None,
) -> PredictionOut:
    return PredictionOut(
        id=prediction.id,
        name=prediction.name,
        tags=prediction.tags,
        status=status_of(prediction, job),
        request=request,
        probe_id=prediction.probe_id,
        training=request.trained_on,
        progress=job.progress if job is not None and prediction.status == PENDING else None,
        waiting=waiting,
        error=prediction.error,
        created_at=rfc3339(prediction.created_at),
        finished_at=rfc3339(prediction.finished_at) if prediction.finished_at else None,
        **(dict(answer) if answer is not None else {}),
    )
