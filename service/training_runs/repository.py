"""The SQL of training runs and their checkpoints."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, defer

from gapcast.contract.base import JsonObject
from gapcast.contract.events import TrainingCheckpoint
from gapcast.contract.lists import PageQuery, TrainingRunQuery
from gapcast.contract.training_results import HeldBy, TrainingPartial, TrainingResult
from service.jobs.models import Job, JobState
from service.kit.clock import now
from service.kit.ids import new_id
from service.kit.json_paths import without
from service.kit.pagination import Filters, conditions, of_labels, select_page
from service.probes.models import Probe
from service.training_runs.models import Checkpoint, TrainingRun, WatchedBy

NEVER_SHOWN = (("counts",), ("problem_ids",))
"""what of a result grows with its problems and only its statistics need"""
EVALUATIONS = (("evaluations",),)
NEWEST = 500
"""checkpoints that an attempt is offered: most are gone, as of each attempt the two newest and the best are kept"""


MODEL, TASK = TrainingRun.configuration["model"].as_string(), TrainingRun.configuration["task"].as_string()

FILTERS: Filters = {
    **of_labels(TrainingRun, TrainingRun.id, MODEL, TASK),
    "model": MODEL,
    "task": TASK,
    "context_kind": TrainingRun.configuration["context"]["kind"].as_string(),
    "pool": TrainingRun.pool,
    "status": Job.state,
    "verdict": TrainingRun.predicted["verdict"].as_string(),
    "prediction_id": TrainingRun.prediction_id,
    "group_id": TrainingRun.group_id,
}

SORTS = {
    "improvement": TrainingRun.result["improvement"]["value"].as_float(),
    "gap": TrainingRun.result["gap"]["value"].as_float(),
}


class Row(NamedTuple):
    """A run as it is shown."""

    run: TrainingRun
    job: Job
    checkpoint: Checkpoint | None
    result: TrainingResult | None
    partial: TrainingPartial | None

    @classmethod
    def read(cls, row: Sequence[Any]) -> "Row":
        """Read what `_shown` selects."""
        run, job, checkpoint, result, partial = row
        return cls(
            run,
            job,
            checkpoint,
            None if result is None else TrainingResult.model_validate(result),
            None if partial is None else TrainingPartial.model_validate(partial),
        )


class RunState(NamedTuple):
    """What a run's job does."""

    job_id: str
    state: JobState
    held: bool
    """True if the run has put itself aside"""

    @property
    def rests(self) -> bool:
        """True if it does not go on by itself."""
        return self.state.is_terminal or self.held


def add(session: Session, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Store those runs that no other one is the same as; returns their ids.

    A run that another transaction is about to store is waited for.
    """
    dialect = session.get_bind().dialect.name
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(TrainingRun)
    statement = statement.on_conflict_do_nothing(index_elements=[TrainingRun.live_key])
    made = session.execute(statement.values(list(rows)).returning(TrainingRun.id))
    return set(made.scalars())


def with_live_keys(session: Session, keys: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Id and state of the runs that hold these keys, by key."""
    query = select(TrainingRun.live_key, TrainingRun.id, Job.state).join(Job, Job.id == TrainingRun.job_id)
    rows = session.execute(query.where(TrainingRun.live_key.in_(keys)))
    return {str(key): (run_id, state) for key, run_id, state in rows}


def _shown(session: Session, tenant: str, left_out: Iterable[Sequence[str]]) -> Select[*tuple[Any, ...]]:
    paths = list(left_out)
    result, partial = (without(session, column, paths) for column in (TrainingRun.result, TrainingRun.partial))
    query = (
        select(TrainingRun, Job, Checkpoint, result, partial)
        .join(Job, Job.id == TrainingRun.job_id)
        .outerjoin(Checkpoint, Checkpoint.id == TrainingRun.checkpoint_id)
        .where(TrainingRun.tenant == tenant)
        .options(defer(TrainingRun.result, raiseload=True), defer(TrainingRun.partial, raiseload=True))
    )
    return query.execution_options(populate_existing=True)


def get(session: Session, tenant: str, run_id: str) -> Row | None:
    """Read one."""
    row = session.execute(_shown(session, tenant, NEVER_SHOWN).where(TrainingRun.id == run_id)).one_or_none()
    return None if row is None else Row.read(row)


def page(session: Session, tenant: str, wanted: TrainingRunQuery) -> list[Row]:
    """Read one page without evaluations, with one row more than its limit."""
    query = _shown(session, tenant, (*NEVER_SHOWN, *EVALUATIONS)).where(*conditions(wanted, FILTERS))
    return [Row.read(row) for row in session.execute(select_page(query, TrainingRun.id, wanted, SORTS))]


def with_ids(session: Session, tenant: str, run_ids: Sequence[str]) -> list[Row]:
    """Read several without their evaluations."""
    query = _shown(session, tenant, (*NEVER_SHOWN, *EVALUATIONS)).where(TrainingRun.id.in_(run_ids))
    return [Row.read(row) for row in session.execute(query)] if run_ids else []


def made_together(session: Session, tenant: str, group_id: str) -> list[Row]:
    """Read the runs of one request, in the order of their ids."""
    query = _shown(session, tenant, (*NEVER_SHOWN, *EVALUATIONS)).where(TrainingRun.group_id == group_id)
    return [Row.read(row) for row in session.execute(query.order_by(TrainingRun.id))]


def state(session: Session, tenant: str, run_id: str, *, lock: bool = False) -> RunState | None:
    """Read what a run's job does: this is asked several times a second. `lock` holds the job."""
    query = select(TrainingRun.job_id, Job.state, TrainingRun.held).join(Job, Job.id == TrainingRun.job_id)
    query = query.where(TrainingRun.tenant == tenant, TrainingRun.id == run_id)
    row = session.execute(query.with_for_update(of=Job) if lock else query).one_or_none()
    return None if row is None else RunState(row[0], JobState(row[1]), row[2] is not None)


def by_id(session: Session, run_id: str) -> TrainingRun:
    """Read one of any tenant; for workers, which serve them all."""
    return session.execute(select(TrainingRun).where(TrainingRun.id == run_id)).scalar_one()


def probed_revision(session: Session, probe_id: str | None) -> str | None:
    """The revision of the task that a prediction's probe measured; null: its gap was measured elsewhere."""
    revision = Probe.configuration["task_revision"].as_string()
    return session.execute(select(revision).where(Probe.id == probe_id)).scalar_one_or_none()


def _write(session: Session, run_id: str, values: dict[str, Any]) -> None:
    statement = update(TrainingRun).where(TrainingRun.id == run_id).values(**values)
    session.execute(statement.execution_options(synchronize_session=False))


def store_partial(session: Session, run_id: str, partial: JsonObject) -> None:
    """Write what is known so far; the caller holds the job."""
    _write(session, run_id, {"partial": partial})


def store_result(session: Session, run_id: str, result: TrainingResult, observation_id: str | None) -> None:
    """Write what came of a run."""
    _write(
        session, run_id, {"result": result.model_dump(mode="json"), "partial": None, "observation_id": observation_id}
    )


def watch(session: Session, run_id: str, watched_by: WatchedBy) -> None:
    """Write the fit that a run is forecast under."""
    _write(session, run_id, {"watched_by": watched_by})


def hold(session: Session, run_id: str, by: HeldBy, observation_id: str | None) -> None:
    """Write that a run has put itself aside, and the observation that it is until it goes on."""
    _write(session, run_id, {"held": by, "observation_id": observation_id})


def release(session: Session, run_id: str) -> None:
    """Let a run that had put itself aside go on to its end."""
    statement = update(TrainingRun).where(TrainingRun.id == run_id, TrainingRun.held.is_not(None))
    values = {"held": None, "released": True}
    session.execute(statement.values(values).execution_options(synchronize_session=False))


def free_key(session: Session, run_id: str) -> None:
    """Let a run that ended without a result be repeated."""
    _write(session, run_id, {"live_key": None})


def publish_checkpoint(session: Session, job: Job, written: TrainingCheckpoint) -> None:
    """Store a checkpoint and let the run point at it; the caller holds the job. Told twice, it is stored once."""
    checkpoint_id = new_id("ckpt")
    dialect = session.get_bind().dialect.name
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(Checkpoint).values(
        id=checkpoint_id, tenant=job.tenant, job_id=job.id, attempt=job.attempt, created_at=now(), **written.written()
    )
    made = session.execute(statement.on_conflict_do_nothing().returning(Checkpoint.id)).one_or_none()
    if made is not None:
        _write(session, job.subject_id, {"checkpoint_id": checkpoint_id})


def furthest_checkpoint(session: Session, job_id: str) -> int:
    """The largest step that any attempt has published; 0 without one."""
    query = select(func.max(Checkpoint.step)).where(Checkpoint.job_id == job_id)
    return session.execute(query).scalar_one() or 0


def newest_checkpoints(session: Session, job_id: str) -> Sequence[str]:
    """Where a job's newest checkpoints are, of any attempt, the newest first."""
    query = select(Checkpoint.path).where(Checkpoint.job_id == job_id)
    # by step and not by attempt: one that found no checkpoint has begun again. Whose they are makes no difference
    query = query.order_by(Checkpoint.step.desc(), Checkpoint.attempt.desc()).limit(NEWEST)
    return session.execute(query).scalars().all()


def checkpoints(session: Session, tenant: str, job_id: str, request: PageQuery) -> Sequence[Checkpoint]:
    """One page of a job's checkpoints, with one row more than its limit."""
    query = select(Checkpoint).where(Checkpoint.tenant == tenant, Checkpoint.job_id == job_id)
    return session.execute(select_page(query, Checkpoint.id, request)).scalars().all()
