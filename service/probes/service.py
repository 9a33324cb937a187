"""Probes by content: the same question is measured once, whoever asks and however often."""

from collections.abc import Iterable

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject, Page
from gapcast.contract.events import ProbeCancelRequested
from gapcast.contract.lists import ProbeQuery
from gapcast.contract.needs import JobNeeds
from gapcast.contract.probes import Z95, ProbeConfiguration, ProbeOut, ProbeRequest, ProbeResult
from gapcast.contract.waiting import Waiting
from service.events import repository as events
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.jobs.needs import needs_of
from service.jobs.service import Settle, require_room, waiting_of
from service.kit.clock import rfc3339
from service.kit.database import WriteSession
from service.kit.errors import Conflict, InvalidRequest, NotFound
from service.kit.idempotency import Idempotency, claim_key, keep_subject
from service.kit.ids import new_id
from service.probes import repository
from service.probes.configuring import configure
from service.probes.job import KIND
from service.probes.models import Probe
from service.probes.repository import ProbeState
from service.samples import service as samples
from service.settings import Settings

UNKNOWN_YET = ""
"""the probe of a key that this transaction takes, until it is known; no other transaction sees it"""


def create(
    session: WriteSession, tenant: str, request: ProbeRequest, settings: Settings, idempotency: Idempotency | None
) -> str:
    """Return the id of the probe that measures this.

    A key that was used answers with its probe and does nothing else, whatever became of probe and catalog since.
    """
    if idempotency is not None:
        known = claim_key(session, tenant, *idempotency, UNKNOWN_YET)
        if known != UNKNOWN_YET:
            return known
    if request.probe.target_half_width is not None:
        raise InvalidRequest(
            "probe.target_half_width: is the half-width of a predicted improvement, and a probe alone predicts "
            "nothing. Send target_gap_half_width, or POST /v1/predictions.",
            param="probe.target_half_width",
            value=request.probe.target_half_width,
        )
    target = request.target_gap_half_width
    _refuse_unreachable(target, request.probe.problems)
    resolved = configure(
        session,
        tenant,
        settings.models,
        model=request.model,
        task=request.task,
        context=request.context,
        decoding=request.decoding,
        size=request.probe,
        group_size=request.group_size,
        target_se=target / Z95 if target is not None else None,
    )
    needs = needs_of(settings.models, resolved.configuration.model, request.probe.needs)
    probe = ensure(session, tenant, resolved.configuration, needs, settings.max_queued_jobs)
    if idempotency is not None:
        keep_subject(session, tenant, idempotency.key, probe.id)
    repository.want(session, probe.id, request)
    if not request.probe.samples:
        samples.refuse(session, tenant, probe.id)
    return probe.id


def _refuse_unreachable(target: float | None, problems: int) -> None:
    """Even problems that all agree leave the guard of a sequential probe: a variance of 2 / problems (ADR 11)."""
    least = Z95 * (max(2 / problems, 1e-4) / problems) ** 0.5
    if target is not None and target < least:
        raise InvalidRequest(
            f"target_gap_half_width: expected at least {least:.2g}, the smallest half-width that {problems} problems "
            f"can reach, got {target:g}. Raise it, or raise probe.problems.",
            param="target_gap_half_width",
            value=target,
        )


def found(session: Session, tenant: str, probe_id: str) -> ProbeOut:
    """Read a whole probe.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = repository.get(session, tenant, probe_id)
    if row is None:
        raise _missing(probe_id)
    probe, job = row
    waiting = waiting_of(session, job) if probe.result is None else None
    shown = _show(probe, job, probe.result, probe.partial, waiting)
    shown.samples = samples.stored(session, probe.id)
    return shown


def model_of(session: Session, tenant: str, probe_id: str) -> str:
    """Return the name of a probe's model.

    Raises:
        NotFound: this tenant has none of this id.
    """
    name = repository.model_of(session, tenant, probe_id)
    if name is None:
        raise _missing(probe_id)
    return name


def state_of(session: Session, tenant: str, probe_id: str) -> ProbeState:
    """Read what a probe's job does, and nothing that grows with its problems.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = repository.state(session, tenant, probe_id)
    if row is None:
        raise _missing(probe_id)
    return row


def _missing(probe_id: str) -> NotFound:
    return NotFound(f"There is no probe {probe_id[:80]!r}.")


def page(session: Session, tenant: str, wanted: ProbeQuery) -> Page[ProbeOut]:
    """Read one page of probes without what grows with their problems."""
    return Page.of([_show(*row) for row in repository.page(session, tenant, wanted)], wanted.limit)


def cancel(session: WriteSession, tenant: str, probe_id: str, settle: Settle) -> None:
    """Cancel a probe's job and all that waits for it, which `settle` ends.

    Raises:
        NotFound: there is no such probe.
        Conflict: it has ended.
    """
    job = jobs.request_cancel(session, state_of(session, tenant, probe_id).job_id)
    if job is None:
        raise Conflict(f"{probe_id} has ended already and cannot be cancelled.")
    # with the job and not with the probe: its next job's stream does not begin with this
    events.add(session, tenant, job.id, ProbeCancelRequested())
    if JobState(job.state).is_terminal:
        settle(session, job)


def _show(
    probe: Probe, job: Job, result: JsonObject | None, partial: JsonObject | None, waiting: Waiting | None = None
) -> ProbeOut:
    """Return a stored probe as the API shows it."""
    ended = JobState(job.state).is_terminal
    return ProbeOut.model_validate(
        {
            "id": probe.id,
            "name": probe.name,
            "tags": probe.tags,
            "status": JobState(job.state).value if result is None else "succeeded",
            "key": probe.key,
            "configuration": probe.configuration,
            "progress": None if ended else job.progress,
            "waiting": waiting,
            "result": result,
            "partial": partial,
            "error": job.error if ended and result is None else None,
            "created_at": rfc3339(probe.created_at),
            "finished_at": rfc3339(probe.finished_at) if probe.finished_at else None,
        }
    )


def ensure_all(
    session: WriteSession, tenant: str, configurations: Iterable[tuple[ProbeConfiguration, JobNeeds]], max_queued: int
) -> dict[str, Probe]:
    """Return the probes with these configurations by their keys, as `ensure` does; equal ones share theirs.

    Raises:
        TooManyJobs: the tenant would have more than `max_queued` jobs.
    """
    wanted = {one.key: (one, needs) for one, needs in configurations}
    if len(wanted) < 2:
        return {key: ensure(session, tenant, *one, max_queued) for key, one in wanted.items()}
    known = {probe.key: probe for probe in repository.find_all(session, tenant, wanted)}
    found = {key: probe for key, probe in known.items() if probe.result is not None}
    absent = wanted.keys() - known.keys()
    if absent:
        require_room(session, tenant, max_queued, len(absent))
    new = {}
    # each is made or joined in one order, so that two lists never wait for each other
    for key in sorted(wanted.keys() - found.keys()):
        made = _create(session, tenant, *wanted[key]) if key in absent else None
        if made is not None:
            new[key] = made
        else:
            found[key] = ensure(session, tenant, *wanted[key], max_queued)
    session.wake(KIND.queue, *(new[key].job_id for key in wanted if key in new))
    return found | new


def ensure(
    session: WriteSession, tenant: str, configuration: ProbeConfiguration, needs: JobNeeds, max_queued: int
) -> Probe:
    """Return the probe with this configuration; a new job with these needs is woken for it where it lacks one.

    A probe that is measured already has its result; one whose job still lives is shared; one whose job ended without a
    result gets a new job. The job's row is locked before it is joined: its end and our joining cannot cross.

    Raises:
        TooManyJobs: a new job is needed and the tenant has `max_queued` already.
    """
    for _ in range(5):  # each further round means that another client won a race; five in a row do not happen
        probe = repository.find(session, tenant, configuration.key)
        if probe is None:
            require_room(session, tenant, max_queued)
            made = _create(session, tenant, configuration, needs)
            if made is not None:
                session.wake(KIND.queue, made.job_id)
                return made
            continue
        if probe.result is not None:
            return probe
        job = jobs.get(session, probe.job_id, lock=True)
        if job is not None and not JobState(job.state).is_terminal and job.cancel_requested_at is None:
            return probe
        if job is not None and job.state == JobState.succeeded:
            continue  # it ended while we waited for its row: read the result
        require_room(session, tenant, max_queued)
        fresh = jobs.add(session, tenant=tenant, kind=KIND.name, queue=KIND.queue, subject_id=probe.id, needs=needs)
        if repository.hand_over(session, probe.id, probe.job_id, fresh.id):
            session.refresh(probe)
            session.wake(KIND.queue, fresh.id)
            return probe
        session.delete(fresh)
        session.flush()
    raise Conflict("Other clients are asking for the same probe at this moment. Try again.")


def keep(session: Session, tenant: str, configuration: ProbeConfiguration, job_id: str, result: ProbeResult) -> Probe:
    """Store a probe that another kind of job has measured, in the transaction that ends it; the first result stays."""
    with session.begin_nested():
        probe = repository.find(session, tenant, configuration.key)
        if probe is None:
            probe = repository.add(
                session,
                {
                    "id": new_id("probe"),
                    "tenant": tenant,
                    "key": configuration.key,
                    "configuration": configuration.model_dump(mode="json"),
                    "job_id": job_id,
                },
            )
    repository.store_result(session, probe.id, result.model_dump(mode="json"))
    session.refresh(probe)
    return probe


def _create(session: Session, tenant: str, configuration: ProbeConfiguration, needs: JobNeeds) -> Probe | None:
    """Store a probe and its job; None if another client has stored this one meanwhile."""
    probe_id = new_id("probe")
    try:
        with session.begin_nested():
            job = jobs.add(session, tenant=tenant, kind=KIND.name, queue=KIND.queue, subject_id=probe_id, needs=needs)
            return repository.add(
                session,
                {
                    "id": probe_id,
                    "tenant": tenant,
                    "key": configuration.key,
                    "configuration": configuration.model_dump(mode="json"),
                    "job_id": job.id,
                },
            )
    except IntegrityError:
        return None
