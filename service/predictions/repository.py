"""The SQL of predictions; a pending one is read together with its job."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, case, select, update
from sqlalchemy.orm import Session

from gapcast.contract.lists import PredictionQuery
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

FILTERS: Filters = {
    **of_labels(Prediction, Prediction.id),
    "model": Prediction.request["model"]["name"].as_string(),
    "task": Prediction.request["task"].as_string(),
    "pool": Prediction.pool,
    "status": STATUS,
    "verdict": Prediction.answer["verdict"].as_string(),
}


def _with_job(tenant: str) -> Select[Prediction, Job]:
    return select(Prediction, Job).outerjoin(Job, Job.id == Prediction.job_id).where(Prediction.tenant == tenant)


def add(session: Session, values: dict[str, Any]) -> Prediction:
    """Store one."""
    prediction = Prediction(created_at=now(), **values)
    session.add(prediction)
    session.flush()
    return prediction


def get(session: Session, tenant: str, prediction_id: str) -> tuple[Prediction, Job | None] | None:
    """Read one with its job."""
    query = _with_job(tenant).where(Prediction.id == prediction_id)
    row = session.execute(query.execution_options(populate_existing=True)).one_or_none()
    return None if row is None else (row[0], row[1])


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
    rows = session.execute(select_page(query, Prediction.id, wanted))
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
