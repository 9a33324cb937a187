"""What a job does at the moment, in words, by the newest of its events that says so."""

from collections.abc import Iterable, Mapping

from sqlalchemy.orm import Session

from gapcast import comparison_words, words
from gapcast.contract.comparisons import ComparisonOut
from gapcast.contract.events import TrainingProgress
from gapcast.contract.waiting import Waiting
from service.comparisons import service as comparisons
from service.events import repository as events
from service.events.models import Event

QUARTERS = 4
"""of a probe or a run, at which its progress is spoken"""


def newest(session: Session, tenant: str, job_id: str | None, kinds: Iterable[str]) -> Event | None:
    """Read the newest event of these kinds; None where there is no job, or no event."""
    return events.newest(session, tenant, job_id, kinds) if job_id is not None else None


def doing(last: Event | None, otherwise: str, waiting: Waiting | None) -> str:
    """Say what a job does, by the newest event that says so; where it waits and more is known, what it waits for."""
    why = words.waits(waiting)
    if why != words.waits(None):
        return why
    said: Mapping[str, str] = words.HAPPENED | words.ASKED
    if last is None:
        return otherwise
    if last.type == TrainingProgress.type:
        return words.PHASES[TrainingProgress.model_validate(last.data, extra="ignore").phase]
    return said.get(last.type, otherwise)


def place(waiting: Waiting | None) -> str:
    """Tell apart what is worth speaking of while a job waits: who is ahead, but not for how much longer."""
    if waiting is None:
        return ""
    return f"{waiting.workers > 0} {waiting.ahead} {waiting.running.id if waiting.running is not None else ''}"


def comparing(session: Session, tenant: str, found: ComparisonOut) -> str:
    """Say what a comparison does: how far it is, or the newest thing that happened to one of its jobs."""
    if found.ended:
        return ""
    if found.progress is not None:
        return comparison_words.progress(found.progress)
    job_ids = comparisons.state_of(session, tenant, found.id).job_ids
    happened = [one for job_id in job_ids if (one := newest(session, tenant, job_id, words.HAPPENED)) is not None]
    return doing(max(happened, key=lambda one: one.id, default=None), words.STATES[found.status], found.waiting)
