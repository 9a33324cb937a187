"""The SQL of the stored runs that are most like the one that is asked for, in all pools of a tenant."""

from collections.abc import Iterator
from typing import Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from gapcast.contract.predictions import NearRun
from gapcast.contract.probes import Difference
from service.fits.asked import Asked
from service.observations.models import Observation

MOST = 5

Same = Literal["configuration", "context", "kind", "gap"]


def nearest(session: Session, tenant: str, asked: Asked, kind: str, gap: float) -> list[NearRun]:
    """Find up to five, the most alike first; excluded ones do not count, collapsed ones do."""
    found: dict[str, NearRun] = {}
    for same, conditions in _ranks(asked, kind):
        if len(found) < MOST:
            query = select(Observation).where(Observation.tenant == tenant, ~Observation.excluded, *conditions)
            rows = session.execute(
                query.order_by(func.abs(Observation.gap - gap), Observation.id).limit(MOST)
            ).scalars()
            for row in rows:
                found.setdefault(row.id, _near(row, same))
    for ahead in (True, False):
        if len(found) < MOST:
            side = Observation.gap >= gap if ahead else Observation.gap < gap
            order = Observation.gap.asc() if ahead else Observation.gap.desc()
            query = select(Observation).where(Observation.tenant == tenant, ~Observation.excluded, side)
            for row in session.execute(query.order_by(order, Observation.id).limit(MOST)).scalars():
                found.setdefault(row.id, _near(row, "gap"))
    rank = [same for same, _ in _ranks(asked, kind)] + ["gap"]
    ordered = sorted(
        found.values(), key=lambda run: (rank.index(run.same), abs(run.gap.value - gap), run.observation_id)
    )
    return ordered[:MOST]


def _ranks(asked: Asked, kind: str) -> Iterator[tuple[Same, list[ColumnElement[bool]]]]:
    of_task = Observation.task == asked.task
    if asked.context is not None:
        shown = [of_task, Observation.context == asked.context]
        mode = Observation.thinking.is_(True) if asked.thinking else Observation.thinking.is_not(True)
        yield "configuration", [*shown, mode, Observation.cell == asked.cell, Observation.model == asked.model]
        yield "context", shown
    yield "kind", [of_task, Observation.context_kind == kind]


def _near(row: Observation, same: Same) -> NearRun:
    return NearRun(
        observation_id=row.id,
        pool=row.pool,
        same=same,
        model=row.model,
        task=row.task,
        context_kind=row.context_kind,
        gap=Difference(value=row.gap, se=row.gap_se),
        improvement=_difference(row.improvement, row.improvement_se),
        held_out=_difference(row.held_out_improvement, row.held_out_se),
        steps=row.steps,
        collapsed=row.collapsed,
    )


def _difference(value: float | None, se: float | None) -> Difference | None:
    return None if value is None or se is None else Difference(value=value, se=se)
