"""Training runs: ask, put aside, go on, and what their end leaves behind."""

import hashlib
from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy.orm import Session

from gapcast.contract.base import Failure, Page
from gapcast.contract.events import (
    JobCancelRequested,
    JobPaused,
    JobPauseRequested,
    JobResumed,
    TrainingRunCreated,
)
from gapcast.contract.lists import PageQuery, TrainingRunQuery
from gapcast.contract.training import TrainingRunRequest
from gapcast.contract.training_results import CheckpointOut, TrainingRunOut
from service.errors import DuplicateRun
from service.events import repository as events
from service.forecasts import service as forecasts
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.jobs.needs import needs_of
from service.jobs.service import require_room, waiting_of
from service.kit.clock import now
from service.kit.database import WriteSession
from service.kit.errors import Conflict, NotFound
from service.kit.idempotency import Idempotency, claim_key
from service.kit.ids import new_id
from service.settings import Settings
from service.training_runs import repository
from service.training_runs.configuring import Plan, plan
from service.training_runs.job import KIND, end_without_result
from service.training_runs.presenting import checkpoint_out, run_out
from service.training_runs.repository import RunState

log = structlog.get_logger()

GROUP = "rgrp"


def create(
    session: WriteSession,
    tenant: str,
    request: TrainingRunRequest,
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> str:
    """Store one run a seed, all or none; returns the id of the run, or of the group of several.

    Raises:
        UnknownModel, UnknownTask, NotFound, InvalidRequest: the configuration cannot be trained.
        DuplicateRun: one of these runs is there already.
        TooManyJobs: there is no room for them.
    """
    run_ids = [new_id("run") for _ in request.seeds]
    group_id = new_id(GROUP) if len(run_ids) > 1 else None
    subject = group_id or run_ids[0]
    if idempotency is not None:
        first = claim_key(session, tenant, *idempotency, subject)
        if first != subject:
            return first
    planned = plan(session, tenant, request, settings)
    require_room(session, tenant, settings.max_queued_jobs, len(run_ids))
    model = planned.configuration.model
    law = forecasts.law_pool(session, tenant, request.prediction_id, planned.pool, model, settings)
    needs = needs_of(settings.models, model, request.training.needs, training=True)
    made: dict[str, str] = {}
    rows = []
    for run_id, seed in zip(run_ids, request.seeds, strict=True):
        made[run_id] = jobs.add(
            session, tenant=tenant, kind=KIND.name, queue=KIND.queue, subject_id=run_id, needs=needs
        ).id
        configuration = planned.configuration.model_copy(update={"seed": seed})
        rows.append(
            {
                "id": run_id,
                "tenant": tenant,
                "name": planned.name,
                "tags": planned.tags,
                "group_id": group_id,
                "prediction_id": request.prediction_id,
                "job_id": made[run_id],
                "live_key": _live_key(tenant, planned, configuration.key),
                "pool": planned.pool,
                "family": planned.family,
                "parameters": planned.parameters,
                "configuration": configuration.model_dump(mode="json"),
                "predicted": planned.predicted.model_dump() if planned.predicted is not None else None,
                "watched_by": {"pool": law},
                "created_at": now(),
            }
        )
        events.add(session, tenant, run_id, TrainingRunCreated(seed=seed, prediction_id=request.prediction_id))
    # in one order, so that two requests for the same seeds never wait for each other
    stored = repository.add(session, sorted(rows, key=lambda row: row["live_key"]))
    if len(stored) < len(rows):
        _refuse_duplicates(session, [row for row in rows if row["id"] not in stored])
    session.wake(KIND.queue, *made.values())
    return subject


def _live_key(tenant: str, planned: Plan, key: str) -> str:
    return hashlib.sha256("\n".join([tenant, planned.pool, key]).encode()).hexdigest()


def _refuse_duplicates(session: Session, rows: list[dict[str, Any]]) -> None:
    known = repository.with_live_keys(session, [row["live_key"] for row in rows])
    found = []
    for row in rows:
        run_id, state = known.get(row["live_key"], ("a run that has just ended", "ended"))
        found.append(f"seed {row['configuration']['seed']} is {run_id} ({state})")
    raise DuplicateRun(
        f"seeds: {'; '.join(found[:5])}. A second observation from the same samples would count twice: send another "
        "seed.",
        param="seeds",
        value=rows[0]["configuration"]["seed"],
    )


def found(session: Session, tenant: str, run_id: str) -> TrainingRunOut:
    """Read one run.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = repository.get(session, tenant, run_id)
    if row is None:
        raise _missing(run_id)
    return run_out(row, waiting_of(session, row.job))


def several(session: Session, tenant: str, run_ids: Sequence[str]) -> dict[str, TrainingRunOut]:
    """Read runs without their evaluations, by id, in the order of the ids that are given."""
    rows = {row.run.id: run_out(row) for row in repository.with_ids(session, tenant, run_ids)}
    return {run_id: rows[run_id] for run_id in run_ids if run_id in rows}


def answer(session: Session, tenant: str, subject: str) -> TrainingRunOut | Page[TrainingRunOut]:
    """What `create` has made: one run, or a list of several."""
    if not subject.startswith(GROUP):
        return found(session, tenant, subject)
    rows = repository.made_together(session, tenant, subject)
    return Page.of([run_out(row) for row in rows], len(rows))


def page(session: Session, tenant: str, wanted: TrainingRunQuery) -> Page[TrainingRunOut]:
    """Read one page of runs without their evaluations."""
    return Page.of([run_out(row) for row in repository.page(session, tenant, wanted)], wanted.limit)


def checkpoints(session: Session, tenant: str, run_id: str, request: PageQuery) -> Page[CheckpointOut]:
    """Read one page of a run's published checkpoints.

    Raises:
        NotFound: there is no such run.
    """
    rows = repository.checkpoints(session, tenant, state_of(session, tenant, run_id).job_id, request)
    return Page.of([checkpoint_out(row) for row in rows], request.limit)


def state_of(session: Session, tenant: str, run_id: str, *, lock: bool = False) -> RunState:
    """Read what a run's job does; `lock` holds the job until the transaction ends.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = repository.state(session, tenant, run_id, lock=lock)
    if row is None:
        raise _missing(run_id)
    return row


def _missing(run_id: str) -> NotFound:
    return NotFound(f"There is no training run {run_id[:80]!r}.")


def cancel(session: Session, tenant: str, run_id: str, why: Failure | None = None) -> None:
    """Cancel a run that waits or is paused at once, `why` is then its error, and ask one that runs to stop.

    Raises:
        NotFound: there is no such run.
        Conflict: it has ended.
    """
    at = state_of(session, tenant, run_id)
    job = jobs.request_cancel(session, at.job_id, why.model_dump(mode="json") if why is not None else None)
    if job is None:
        raise Conflict(f"{run_id} has ended already ({at.state}) and cannot be cancelled.")
    events.add(session, tenant, job.id, JobCancelRequested())
    if JobState(job.state).is_terminal:
        end_without_result(session, job)


def pause(session: Session, tenant: str, run_id: str) -> None:
    """Put a run that waits aside at once, and ask one that runs to write a checkpoint and stop.

    Raises:
        NotFound: there is no such run.
        Conflict: it has ended, is paused, or is being cancelled.
    """
    at = state_of(session, tenant, run_id)
    job = jobs.request_pause(session, at.job_id)
    if job is None:
        if at.state == JobState.paused:
            raise Conflict(f"{run_id} is paused already; resume it with POST /v1/training_runs/{run_id}/resume.")
        what = f"has ended already ({at.state})" if at.state.is_terminal else "is being cancelled"
        raise Conflict(f"{run_id} {what} and cannot be paused.")
    events.add(session, tenant, job.id, JobPauseRequested())
    if job.state == JobState.paused:
        events.add(session, tenant, job.id, JobPaused(attempt=job.attempt))


def resume(session: WriteSession, tenant: str, run_id: str, settings: Settings) -> None:
    """Queue a paused run, which goes on from its last checkpoint; one that had put itself aside goes on to its end.

    Raises:
        NotFound: there is no such run.
        Conflict: it is not paused.
        TooManyJobs: there is no room for it.
    """
    at = state_of(session, tenant, run_id)
    job = jobs.resume(session, at.job_id)
    if job is None:
        if at.state.is_terminal:
            raise Conflict(f"{run_id} has ended ({at.state}) and cannot be resumed; train its configuration again.")
        raise Conflict(f"{run_id} is {at.state}, not paused, so it cannot be resumed.")
    require_room(session, tenant, settings.max_queued_jobs, 0)
    repository.release(session, run_id)
    events.add(session, tenant, job.id, JobResumed())
    session.wake(KIND.queue, job.id)
