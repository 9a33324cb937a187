"""Probes by content: the same question is measured once, whoever asks and however often."""

from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.catalog.schemas import ProbeConfiguration
from service.errors import TooManyJobs
from service.events import repository as events
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.jobs.service import Settle
from service.kit.clock import rfc3339
from service.kit.errors import Conflict, InvalidRequest, NotFound
from service.kit.idempotency import claim_key
from service.kit.ids import new_id
from service.probes import repository
from service.probes.configuring import configure
from service.probes.models import Probe
from service.probes.schemas import ProbeOut, ProbeRequest
from service.settings import Settings

KIND = "probe"
Z95 = 1.96
"""half-width of a 95 % interval in standard errors"""


def create(
    session: Session, tenant: str, request: ProbeRequest, settings: Settings, idempotency: tuple[str, str] | None
) -> tuple[str, list[str]]:
    """Return the id of the probe that measures this, and the job ids to wake."""
    if request.probe.target_half_width is not None:
        raise InvalidRequest(
            "probe.target_half_width: is that of a predicted improvement, which a bare probe has none of; send "
            "target_gap_half_width, or POST /v1/predictions.",
            param="probe.target_half_width",
            value=request.probe.target_half_width,
        )
    target = request.target_gap_half_width
    configuration, _ = configure(
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
    probe, is_new = ensure(session, tenant, configuration, settings.max_queued_jobs)
    if idempotency is not None:
        first = claim_key(session, tenant, idempotency[0], idempotency[1], probe.id)
        if first != probe.id:
            raise Conflict("Idempotency-Key: what it measured has changed in the catalog since; send another key.")
    repository.want(session, probe.id)
    return probe.id, [probe.job_id] if is_new else []


def found(session: Session, tenant: str, probe_id: str) -> tuple[Probe, Job]:
    """Read a probe with its job.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = repository.get(session, tenant, probe_id)
    if row is None:
        raise NotFound(f"There is no probe {probe_id[:80]!r}.")
    return row


def cancel(session: Session, tenant: str, probe_id: str, settle: Settle) -> None:
    """Cancel a probe's job, whoever waits for it.

    Raises:
        NotFound: there is no such probe.
        Conflict: it has ended.
    """
    probe, _ = found(session, tenant, probe_id)
    job = jobs.request_cancel(session, probe.job_id)
    if job is None:
        raise Conflict(f"{probe_id} has ended already and cannot be cancelled.")
    events.add(session, tenant, probe.id, "probe.cancel_requested", {})
    if JobState(job.state).is_terminal:
        settle(session, job)


def show(probe: Probe, job: Job, *, whole: bool = True) -> ProbeOut:
    """A stored probe as the API shows it; not whole: without what grows with its problems."""
    ended = JobState(job.state).is_terminal
    return ProbeOut(
        id=probe.id,
        status=JobState(job.state).value if probe.result is None else "succeeded",
        key=probe.key,
        configuration=probe.configuration,
        progress=None if ended else job.progress,
        result=probe.result if whole else _short(probe.result),
        partial=probe.partial if whole else _short(probe.partial),
        error=job.error if probe.result is None else None,
        created_at=rfc3339(probe.created_at),
        finished_at=rfc3339(probe.finished_at) if probe.finished_at else None,
    )


def _short(result: dict[str, Any] | None) -> dict[str, Any] | None:
    if result is None:
        return None
    arms = {name: {key: value for key, value in arm.items() if key != "counts"} for name, arm in result["arms"].items()}
    return {key: value for key, value in result.items() if key != "problem_ids"} | {"arms": arms}


def ensure(session: Session, tenant: str, configuration: ProbeConfiguration, max_queued: int) -> tuple[Probe, bool]:
    """Return the probe with this configuration and whether a new job must be woken for it.

    A probe that is measured already has its result; one whose job still lives is shared; one whose job ended without a
    result gets a new job. The job's row is locked before it is joined: its end and our joining cannot cross.

    Raises:
        TooManyJobs: a new job is needed and the tenant has `max_queued` already.
    """
    for _ in range(5):  # each further round means that another client won a race; five in a row do not happen
        probe = repository.find(session, tenant, configuration.key)
        if probe is None:
            made = _create(session, tenant, configuration, max_queued)
            if made is not None:
                return made, True
            continue
        if probe.result is not None:
            return probe, False
        job = jobs.get(session, probe.job_id, lock=True)
        if job is not None and not JobState(job.state).is_terminal and job.cancel_requested_at is None:
            return probe, False
        if job is not None and job.state == JobState.succeeded:
            continue  # it ended while we waited for its row: read the result
        _check_room(session, tenant, max_queued)
        fresh = jobs.add(session, tenant=tenant, kind=KIND, subject_id=probe.id)
        if repository.hand_over(session, probe.id, probe.job_id, fresh.id):
            session.refresh(probe)
            return probe, True
        session.delete(fresh)
        session.flush()
    raise Conflict("Other clients keep asking for the same probe at this very moment; try again.")


def _create(session: Session, tenant: str, configuration: ProbeConfiguration, max_queued: int) -> Probe | None:
    _check_room(session, tenant, max_queued)
    probe_id = new_id("probe")
    try:
        with session.begin_nested():
            job = jobs.add(session, tenant=tenant, kind=KIND, subject_id=probe_id)
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
        return None  # another client stored the same probe first


def _check_room(session: Session, tenant: str, max_queued: int) -> None:
    if jobs.count_live(session, tenant) >= max_queued:
        detail = f"{max_queued} jobs have not ended yet, the most that may wait; try again when some have."
        raise TooManyJobs(detail, headers={"Retry-After": "30"})
