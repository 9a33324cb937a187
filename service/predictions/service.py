"""Predictions: ask, share a probe, answer when it is measured."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from gapcast.contract.base import Failure, JsonObject, Page
from gapcast.contract.contexts import context_key
from gapcast.contract.events import Ended, PredictionCreated
from gapcast.contract.lists import PredictionQuery
from gapcast.contract.predictions import Answer, PredictionList, PredictionOut, PredictionRequest
from gapcast.contract.probes import ProbeConfiguration, ProbeResult, ProbeSize
from gapcast.contract.waiting import Waiting
from service.catalog import service as catalog
from service.events import repository as events
from service.fits import service as fits
from service.fits.asked import Asked
from service.fits.service import Current
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.jobs.service import waiting_of
from service.kit.clock import rfc3339
from service.kit.database import Database, WriteSession
from service.kit.each import check_all, for_each
from service.kit.errors import Conflict, InvalidRequest, NotFound
from service.kit.idempotency import Idempotency, answered_before, claim_key, remember
from service.kit.ids import new_id
from service.observations.service import find_pool
from service.predictions import repository
from service.predictions.answer import answer, gap_of
from service.predictions.models import PENDING, Prediction
from service.predictions.repository import PredictionState
from service.probes import repository as probe_rows
from service.probes import service as probes
from service.probes import sizing
from service.probes.configuring import configure, trained_elsewhere, trained_problems
from service.probes.models import Probe
from service.settings import Settings
from service.tasks.service import find_task, known_task

log = structlog.get_logger()


class Question(NamedTuple):
    """A request with names looked up and defaults filled in, which the answer records."""

    request: PredictionRequest
    family: str
    law: Current
    probe: ProbeConfiguration | None
    """None: it brings a gap"""
    most: int | None
    """problems of its task; None: it brings a gap"""


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
    except InvalidRequest:
        pool = request.pool
        with database.read() as session:
            names = [] if request.gap is not None else [partial(find_task, session, tenant, request.task)]
            check_all(
                partial(_pool_of, request, settings),
                *names,
                *([] if pool is None else [partial(find_pool, session, tenant, pool)]),
            )
        raise


def _pool_of(request: PredictionRequest, settings: Settings) -> str:
    known = catalog.listed_model(settings.models, request.model.name)
    if known is None and request.gap is None:
        catalog.find_model(settings.models, request.model.name)
    return request.pool or catalog.default_pool(known)


def create(
    session: WriteSession,
    tenant: str,
    request: PredictionRequest,
    law: Current,
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> str:
    """Store a prediction, answered at once where its probe is known; returns its id.

    Args:
        session: a session that writes.
        tenant: who asks.
        request: the configuration.
        law: what `law_for` found for it.
        settings: the models that may be loaded, and how many jobs of this tenant may wait (TooManyJobs).
        idempotency: key and hash of the body.
    """
    prediction_id = new_id("pred")
    if idempotency is not None:
        first = claim_key(session, tenant, *idempotency, prediction_id)
        if first != prediction_id:
            return first
    question = resolved(session, tenant, request, law, settings)
    _store(session, tenant, {prediction_id: question}, _probes_of(session, tenant, [question], settings))
    return prediction_id


def create_all(
    session: WriteSession,
    tenant: str,
    requests: Sequence[PredictionRequest],
    laws: Sequence[Current],
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> list[str]:
    """Store several predictions as `create` does, all of them or none; returns their ids in the same order.

    Args:
        session: a session that writes.
        tenant: who asks.
        requests: the configurations.
        laws: what `laws_for` found for them.
        settings: the models that may be loaded, and how many jobs of this tenant may wait (TooManyJobs).
        idempotency: key and hash of the whole body.

    Raises:
        InvalidRequest: names the fields that do not fit by their requests' places.
    """
    ids = [new_id("pred") for _ in requests]
    if idempotency is not None:
        batch_id = new_id("batch")
        if claim_key(session, tenant, *idempotency, batch_id) != batch_id:
            before: list[str] = answered_before(session, tenant, *idempotency)["ids"]
            return before
        remember(session, tenant, idempotency.key, {"ids": ids})
    asked = list(zip(requests, laws, strict=True))
    questions = for_each(asked, lambda one: resolved(session, tenant, *one, settings))
    found = _probes_of(session, tenant, questions, settings)
    _store(session, tenant, dict(zip(ids, questions, strict=True)), found)
    return ids


def add_answered(session: Session, tenant: str, question: Question, probe: Probe) -> str:
    """Store a prediction of a probe that is measured, with its answer; returns its id."""
    prediction_id = new_id("pred")
    _store(session, tenant, {prediction_id: question}, {probe.key: probe})
    return prediction_id


def _probes_of(
    session: WriteSession, tenant: str, questions: Sequence[Question], settings: Settings
) -> dict[str, Probe]:
    configurations = [one.probe for one in questions if one.probe is not None]
    return probes.ensure_all(session, tenant, configurations, settings.max_queued_jobs)


def _store(session: Session, tenant: str, questions: Mapping[str, Question], found: Mapping[str, Probe]) -> None:
    """Store predictions by id, each answered at once where its gap is known; `found` are their probes by key."""
    rows, known = [], []
    for prediction_id, asked in questions.items():
        probe = found[asked.probe.key] if asked.probe is not None else None
        result = probe.result if probe is not None else None
        known.append(result)
        rows.append(
            {
                "id": prediction_id,
                "tenant": tenant,
                "status": PENDING,
                "pool": asked.law.fit.pool,
                "name": asked.request.name,
                "tags": asked.request.tags,
                "family": asked.family,
                "probe_id": probe.id if probe is not None else None,
                "job_id": probe.job_id if probe is not None and result is None else None,
                "request": asked.request.model_dump(mode="json"),
            }
        )
    predictions = repository.add_all(session, rows)
    for prediction in predictions:
        events.add(session, tenant, prediction.id, PredictionCreated(probe_id=prediction.probe_id))
    for prediction, asked, result in zip(predictions, questions.values(), known, strict=True):
        if asked.probe is None or result is not None:
            _answer(session, prediction, asked.law, result)


def resolved(session: Session, tenant: str, request: PredictionRequest, law: Current, settings: Settings) -> Question:
    """Look up names and fill in defaults.

    Raises:
        UnknownTask: there is no such task.
        InvalidRequest: the parts do not fit each other, or no probe is large enough.
    """
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
        "decoding": configuration.decoding,
        "probe": found.size,
        "pool": law.fit.pool,
    }
    return Question(request.model_copy(update=parts), family, law, configuration, found.task.train_problems)


def _given(session: Session, tenant: str, request: PredictionRequest, law: Current, settings: Settings) -> Question:
    """Fill in the pool and the run's problems of a request whose gap was measured elsewhere.

    Raises:
        InvalidRequest: the family is not known, or the run's problems do not fit the task.
    """
    family = catalog.family_of(settings.models, request.model)
    task = known_task(session, tenant, request.task)
    training = trained_problems(request.training, task) if task is not None else trained_elsewhere(request.training)
    filled = request.model_copy(update={"pool": law.fit.pool, "training": training})
    return Question(filled, family, law, None, None)


def _answer(session: Session, prediction: Prediction, law: Current, stored: JsonObject | None) -> None:
    """Answer a pending prediction under a law of its pool, in the caller's transaction.

    Args:
        session: a session that writes.
        prediction: the question.
        law: its pool's.
        stored: its probe's result; None: it brought a gap.
    """
    request = PredictionRequest.model_validate(prediction.request)
    try:
        result = ProbeResult.model_validate(stored) if stored is not None else None
        asked = asked_of(session, prediction, request, result)
        gap = gap_of(request, result).value
        near = repository.nearest(session, prediction.tenant, asked, request.context.kind, gap)
        given = answer(request, asked, law, result, near)
    except Exception:
        log.exception("prediction_not_computed", prediction=prediction.id)
        error = Failure(code="law_error", message="The law could not be evaluated; the log has it.", category="server")
        _end(session, prediction, JobState.failed, {"error": error.model_dump()})
        return
    _end(session, prediction, JobState.succeeded, {"answer": given.model_dump(mode="json"), "fit_id": law.fit.id})


def asked_of(session: Session, prediction: Prediction, request: PredictionRequest, result: ProbeResult | None) -> Asked:
    """The run that a prediction is about; what was shown is known by its probe's template and task."""
    versions: dict[str, str] = {}
    if prediction.probe_id is not None:
        configuration = probe_rows.by_id(session, prediction.probe_id).configuration
        versions = {name: configuration[name] for name in ("template_version", "task_revision")}
    components = result.variance if result is not None else None
    return Asked(
        family=prediction.family,
        task=request.task,
        recipe=request.recipe,
        training_problems=request.trained_on.problems if request.trained_on is not None else None,
        context=context_key(request.context, **versions),
        model=request.model.name,
        gap_spread=components.sigma_d2 if components is not None else None,
        thinking=request.decoding.thinking,
    )


def _end(session: Session, prediction: Prediction, status: JobState, values: dict[str, Any]) -> None:
    if repository.end(session, prediction.id, {"status": status.value, **values}):
        told = Ended.model_validate({"error": values["error"]} if values.get("error") else {})
        events.add(session, prediction.tenant, prediction.id, told, f"prediction.{status}")


def prepare_answers(database: Database, job: Job) -> None:
    """Make the fits that are due of pools whose predictions wait for this job, before its end locks anything.

    A fit that fails costs no measurement: the answer comes from the stored one, and says that it is behind.
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


def answer_waiting(session: Session, job: Job) -> None:
    """End every prediction that waits for this job, in the transaction that ends the job.

    Each is answered under the newest fit that is stored: this transaction fits nothing.
    """
    waiting = repository.waiting_for(session, job.id)
    if not waiting:
        return
    result = probe_rows.by_id(session, job.subject_id).result if job.state == JobState.succeeded else None
    laws: dict[str, Current | None] = {}
    for prediction in waiting:
        if job.state == JobState.succeeded:
            if prediction.pool not in laws:
                laws[prediction.pool] = fits.stored(session, find_pool(session, prediction.tenant, prediction.pool))
            law = laws[prediction.pool]
            if law is None:
                raise RuntimeError(f"{prediction.id} was stored before its pool was fitted")
            _answer(session, prediction, law, result)
        else:
            _end(session, prediction, JobState(job.state), {"error": job.error})


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
    """A stored prediction as the API shows it."""
    answered = Answer.model_validate(prediction.answer).model_dump() if prediction.answer else {}
    return PredictionOut.model_validate(
        {
            "id": prediction.id,
            "name": prediction.name,
            "tags": prediction.tags,
            "status": status_of(prediction, job),
            "request": prediction.request,
            "probe_id": prediction.probe_id,
            "training": PredictionRequest.model_validate(prediction.request).trained_on,
            "progress": job.progress if job is not None and prediction.status == PENDING else None,
            "waiting": waiting,
            "error": prediction.error,
            "created_at": rfc3339(prediction.created_at),
            "finished_at": rfc3339(prediction.finished_at) if prediction.finished_at else None,
            **answered,
        }
    )
