"""The SQL of predictions; a pending one is read together with its job."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, select, update
from sqlalchemy.orm import Session

from gapcast.contract.lists import PredictionQuery
from gapcast.contract.predictions import NearRun
from gapcast.contract.probes import Difference
from gapcast.contract.recipes import recipe_class_of
from service.fits.asked import Asked
from service.fits.models import Fit
from service.jobs.models import Job, JobState
from service.kit.clock import now
from service.kit.pagination import Filters, conditions, of_labels, select_page
from service.observations.models import Observation
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


def add_all(session: Session, rows: Iterable[dict[str, Any]]) -> list[Prediction]:
    """Store some."""
    predictions = [Prediction(created_at=now(), **values) for values in rows]
    session.add_all(predictions)
    session.flush()
    return predictions


def get(session: Session, tenant: str, prediction_id: str) -> tuple[Prediction, Job | None] | None:
    """Read one with its job."""
    query = _with_job(tenant).where(Prediction.id == prediction_id)
    row = session.execute(query.execution_options(populate_existing=True)).one_or_none()
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


def nearest(session: Session, tenant: str, asked: Asked, kind: str, gap: float) -> list[NearRun]:
    """Find up to five, the most alike first; excluded ones do not count, collapsed ones do."""
    ours = select(Observation).where(Observation.tenant == tenant, ~Observation.excluded)
    found: dict[str, NearRun] = {}
    for ranks in _ranks(asked, kind):
        if len(found) < MOST_NEAR:
            rank = case(*((and_(*alike), place) for place, (_, alike) in enumerate(ranks)))
            query = ours.add_columns(rank).where(*ranks[-1][1], Observation.id.not_in(found))
            ordered = query.order_by(rank, func.abs(Observation.gap - gap), Observation.id)
            rows = session.execute(ordered.limit(MOST_NEAR - len(found)))
            found |= {row.id: _near(row, ranks[place][0]) for row, place in rows}
    if len(found) < MOST_NEAR:
        others = [
            row
            for side, order in (
                (Observation.gap >= gap, Observation.gap.asc()),
                (Observation.gap < gap, Observation.gap.desc()),
            )
            for row in session.execute(ours.where(side).order_by(order, Observation.id).limit(MOST_NEAR)).scalars()
            if row.id not in found
        ]
        others.sort(key=lambda row: (abs(row.gap - gap), row.id))
        found |= {row.id: _near(row, "gap") for row in others[: MOST_NEAR - len(found)]}
    return list(found.values())


Ranks = list[tuple[Same, list[ColumnElement[bool]]]]
"""conditions, each of which is a part of the next one's"""


def _ranks(asked: Asked, kind: str) -> list[Ranks]:
    """Return what makes a run alike, by what an index finds: first the runs of the context, then those of its kind."""
    of_task = Observation.task == asked.task
    of_kind: Ranks = [("kind", [of_task, Observation.context_kind == kind])]
    if asked.context is None:
        return [of_kind]
    shown = [of_task, Observation.context == asked.context]
    mode = Observation.mode.is_not_distinct_from(asked.mode)
    configuration = [*shown, mode, Observation.cell == asked.cell, Observation.model == asked.model]
    recipe = asked.recipe
    tuned = (
        Observation.learning_rate == recipe.rate,
        Observation.adaptation == asked.adaptation,
        Observation.training_problems == asked.training_problems,
    )
    run = [*configuration, Observation.steps == recipe.steps, *tuned]
    return [[("run", run), ("configuration", configuration), ("context", shown)], of_kind]


def _near(row: Observation, same: Same) -> NearRun:
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
