"""The SQL of predictions; a pending one is read together with its job."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from gapcast.contract.lists import PredictionQuery
from gapcast.contract.predictions import NearRun
from gapcast.contract.probes import Difference
from gapcast.contract.recipes import recipe_class_of
from service.fits.asked import Asked
from service.fits.models import Fit
from service.jobs.models import Job, JobState
from service.kit.clock import now
from service.kit.idempotency import Idempotency, IdempotencyRow, require_same, was_used
from service.kit.pagination import Filters, conditions, of_labels, select_page
from service.observations.models import Observation, Pool
from service.observations.repository import AnyRow, observed_at
from service.predictions.models import PENDING, Prediction

STATUS = case(
    (Prediction.status != PENDING, Prediction.status), (Job.state == JobState.queued, JobState.queued), else_="running"
)
"""as `service.status_of`"""

MODEL, TASK = Prediction.request["model"]["name"].as_string(), Prediction.request["task"].as_string()

FILTERS: Filters = {
    **of_labels(Prediction, Prediction.id, MODEL, TASK, Prediction.family),
    "model": MODEL,
    "task": TASK,
    "context_kind": Prediction.request["context"]["kind"].as_string(),
    "pool": Prediction.pool,
    "status": STATUS,
    "verdict": Prediction.answer["verdict"].as_string(),
}

SORTS = {
    "improvement": Prediction.answer["improvement"]["value"].as_float(),
    "gap": Prediction.answer["gap"]["value"].as_float(),
}


def _with_job(tenant: str) -> Select[Prediction, Job]:
    return select(Prediction, Job).outerjoin(Job, Job.id == Prediction.job_id).where(Prediction.tenant == tenant)


_TIMES = (Prediction.id, Prediction.created_at, Prediction.finished_at)
_INSERT_PENDING = insert(Prediction).values(created_at=now()).returning(*_TIMES)
_INSERT_ENDED = insert(Prediction).values(created_at=now(), finished_at=now()).returning(*_TIMES)


def add_all(session: Session, rows: Sequence[dict[str, Any]]) -> list[Prediction]:
    """Store some, of which those that are not pending have ended; they are returned as stored, in this order."""
    session.flush()  # their probes
    connection = session.connection()
    pending = [row for row in rows if row["status"] == PENDING]
    ended = [row for row in rows if row["status"] != PENDING]
    times = {}
    for statement, some in ((_INSERT_PENDING, pending), (_INSERT_ENDED, ended)):
        for row in connection.execute(statement, some[0] if len(some) == 1 else some) if some else ():
            times[row.id] = {"created_at": row.created_at, "finished_at": row.finished_at}
    return [Prediction(**row, **times[row["id"]]) for row in rows]


_POOL_AND_KEY = (
    select(Pool, IdempotencyRow)
    .outerjoin(
        IdempotencyRow, and_(IdempotencyRow.tenant == bindparam("tenant"), IdempotencyRow.key == bindparam("key"))
    )
    .where(Pool.tenant == bindparam("tenant"), Pool.name == bindparam("pool"))
    .execution_options(populate_existing=True)
)


def pool_and_use(session: Session, tenant: str, pool: str, idempotency: Idempotency | None) -> tuple[Pool | None, bool]:
    """Read the pool that a request asks, and if its key was used before; None for a pool that does not exist.

    Raises:
        IdempotencyMismatch: the key was used with another body.
    """
    values = {"tenant": tenant, "pool": pool, "key": idempotency.key if idempotency is not None else None}
    row = session.execute(_POOL_AND_KEY, values).one_or_none()
    if row is None:
        return None, was_used(session, tenant, idempotency)
    if row[1] is not None and idempotency is not None:
        require_same(row[1], idempotency.body_hash)
    return row[0], row[1] is not None


_ONE = (
    select(Prediction, Job)
    .outerjoin(Job, Job.id == Prediction.job_id)
    .where(Prediction.tenant == bindparam("tenant"), Prediction.id == bindparam("id"))
    .execution_options(populate_existing=True)
)


def get(session: Session, tenant: str, prediction_id: str) -> tuple[Prediction, Job | None] | None:
    """Read one with its job."""
    row = session.execute(_ONE, {"tenant": tenant, "id": prediction_id}).one_or_none()
    return None if row is None else (row[0], row[1])


def by_ids(session: Session, tenant: str, ids: Sequence[str]) -> dict[str, Prediction]:
    """Read several, by id."""
    query = select(Prediction).where(Prediction.tenant == tenant, Prediction.id.in_(ids))
    return {row.id: row for row in session.execute(query).scalars()} if ids else {}


def get_all(session: Session, tenant: str, ids: Sequence[str]) -> list[tuple[Prediction, Job | None]]:
    """Read some with their jobs, in the order of these ids."""
    rows = {row[0].id: (row[0], row[1]) for row in session.execute(_with_job(tenant).where(Prediction.id.in_(ids)))}
    return [rows[one] for one in ids]


def any_pending(session: Session, tenant: str, ids: Sequence[str]) -> bool:
    """True if one of these has not ended."""
    pending = Prediction.tenant == tenant, Prediction.id.in_(ids), Prediction.status == PENDING
    return bool(session.execute(select(exists().where(*pending))).scalar_one())


class PredictionState(NamedTuple):
    """How far a prediction is, and the job that it waits for."""

    job_id: str | None
    ended: bool


def state(session: Session, tenant: str, prediction_id: str) -> PredictionState | None:
    """Read how far one is, but not its answer: this is asked several times a second."""
    query = select(Prediction.job_id, Prediction.status).where(Prediction.tenant == tenant)
    row = session.execute(query.where(Prediction.id == prediction_id)).one_or_none()
    return None if row is None else PredictionState(row[0], row[1] != PENDING)


def page(session: Session, tenant: str, wanted: PredictionQuery) -> list[tuple[Prediction, Job | None]]:
    """Read one page, with one row more than its limit."""
    query = _with_job(tenant).where(*conditions(wanted, FILTERS))
    rows = session.execute(select_page(query, Prediction.id, wanted, SORTS))
    return [(row[0], row[1]) for row in rows]


def waiting_for(session: Session, job_id: str) -> Sequence[Prediction]:
    """The predictions that a job's end answers."""
    query = select(Prediction).where(Prediction.job_id == job_id, Prediction.status == PENDING)
    # by pool, as imports lock them: each may fit its pool, and two transactions must not wait for each other
    return session.execute(query.order_by(Prediction.pool, Prediction.id)).scalars().all()


def end(session: Session, prediction_id: str, values: dict[str, Any]) -> bool:
    """End a pending prediction; False when it has ended already."""
    statement = (
        update(Prediction)
        .where(Prediction.id == prediction_id, Prediction.status == PENDING)
        .values(finished_at=now(), **values)
        .returning(Prediction.id)
        .execution_options(synchronize_session=False)
    )
    return session.execute(statement).one_or_none() is not None


def outcomes(session: Session, tenant: str, pool: str, changes: int) -> Sequence[AnyRow]:
    """The rows of a pool at one of its changes that are outcomes of answered predictions, with those, oldest first.

    `predicted_at_changes` is the change at which the prediction's fit knew the pool; -1 for a fit of another pool,
    which cannot have known the outcome.
    """
    known = case((Fit.pool == pool, Fit.changes), else_=-1)
    query = (
        select(
            Observation.id,
            Observation.prediction_id,
            Observation.improvement,
            Observation.collapsed,
            Observation.added_at,
            Observation.created_at,
            Prediction.answer,
            Prediction.fit_id,
            Prediction.created_at.label("predicted_at"),
            known.label("predicted_at_changes"),
        )
        .join(Prediction, (Prediction.id == Observation.prediction_id) & (Prediction.tenant == Observation.tenant))
        .join(Fit, Fit.id == Prediction.fit_id)
        .where(observed_at(tenant, pool, changes), Observation.improvement.is_not(None), Prediction.answer.is_not(None))
    )
    return session.execute(query.order_by(Observation.id)).all()


MOST_NEAR = 5
"""runs like the one that is asked for"""

Same = Literal["run", "configuration", "context", "kind", "gap"]
SAME: tuple[Same, ...] = ("run", "configuration", "context", "kind", "gap")
"""by rank: what a run has in common with the one that is asked for, the most alike first"""


def nearest(session: Session, tenant: str, asked: Asked, kind: str, gap: float) -> list[NearRun]:
    """Find up to five, the most alike first; excluded ones do not count, collapsed ones do."""
    values = {
        "tenant": tenant,
        "task": asked.task,
        "context": asked.context,
        "kind": kind,
        "mode": asked.mode,
        "cell": asked.cell,
        "model": asked.model,
        "steps": asked.recipe.steps,
        "rate": asked.recipe.rate,
        "adaptation": asked.adaptation,
        "problems": asked.training_problems,
        "gap": gap,
    }
    rows = session.connection().execute(_NEAREST, values).all()
    found: dict[str, NearRun] = {}
    for row in sorted(rows, key=lambda row: (row.rank, abs(row.gap - gap), row.id)):
        if len(found) < MOST_NEAR and row.id not in found:
            found[row.id] = _near(row, SAME[row.rank])
    return list(found.values())


_SHOWN = (
    *(Observation.id, Observation.external_id, Observation.name, Observation.pool, Observation.model),
    *(Observation.task, Observation.context_kind, Observation.gap, Observation.gap_se, Observation.improvement),
    *(Observation.improvement_se, Observation.held_out_improvement, Observation.held_out_se, Observation.cell),
    *(Observation.steps, Observation.collapsed),
)


def _nearest() -> CompoundSelect[*tuple[Any, ...]]:
    """Return one statement that finds runs of the context, of its kind, and of gaps above and below, by an index each.

    A run may be found twice. Those of the kind are looked for where the context has too few: no index holds
    their order.
    """
    gap = bindparam("gap", type_=Observation.gap.type)
    distance = func.abs(Observation.gap - gap)

    def first(rank: ColumnElement[int], *alike: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
        query = select(*_SHOWN, rank.label("rank")).where(Observation.tenant == bindparam("tenant"), *alike)
        return query.where(~Observation.excluded).limit(MOST_NEAR)

    of_task = Observation.task == bindparam("task")
    configuration = and_(
        Observation.mode.is_not_distinct_from(bindparam("mode")),
        Observation.cell == bindparam("cell"),
        Observation.model == bindparam("model"),
    )
    run = and_(
        configuration,
        Observation.steps == bindparam("steps"),
        Observation.learning_rate == bindparam("rate"),
        Observation.adaptation == bindparam("adaptation"),
        Observation.training_problems.is_not_distinct_from(bindparam("problems")),
    )
    rank = case((run, literal_column("0")), (configuration, literal_column("1")), else_=literal_column("2"))
    of_context = (
        first(rank, of_task, Observation.context == bindparam("context"))
        .order_by(rank, distance, Observation.id)
        .cte("of_context")
    )
    # twice as many: all that the context has may be among them
    most = case((select(func.count()).select_from(of_context).scalar_subquery() < MOST_NEAR, 2 * MOST_NEAR), else_=0)
    parts: list[CTE] = [
        of_context,
        first(literal_column("3"), of_task, Observation.context_kind == bindparam("kind"))
        .order_by(distance, Observation.id)
        .limit(most)
        .cte("of_kind"),
        first(literal_column("4"), Observation.gap >= gap).order_by(Observation.gap, Observation.id).cte("above"),
        first(literal_column("4"), Observation.gap < gap).order_by(Observation.gap.desc(), Observation.id).cte("below"),
    ]
    return union_all(*(select(part) for part in parts))


_NEAREST = _nearest()


def _near(row: AnyRow, same: Same) -> NearRun:
    return NearRun(
        observation_id=row.id,
        external_id=row.external_id,
        name=row.name,
        pool=row.pool,
        same=same,
        model=row.model,
        task=row.task,
        context_kind=row.context_kind,
        gap=Difference(value=row.gap, se=row.gap_se),
        improvement=_difference(row.improvement, row.improvement_se),
        held_out=_difference(row.held_out_improvement, row.held_out_se),
        recipe_class=recipe_class_of(row.cell).recipe_class if row.cell is not None else None,
        steps=row.steps,
        collapsed=row.collapsed,
    )


def _difference(value: float | None, se: float | None) -> Difference | None:
    return None if value is None or se is None else Difference(value=value, se=se)
