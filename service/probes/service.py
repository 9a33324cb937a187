"""Probes by content: the same question is measured once, whoever asks and however often."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.catalog.schemas import ProbeConfiguration
from service.errors import TooManyJobs
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kit.errors import Conflict
from service.kit.ids import new_id
from service.probes import repository
from service.probes.models import Probe

KIND = "probe"


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
