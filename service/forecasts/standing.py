"""What the forecasts of a run stand on: the law that speaks of it, and the finished runs of its cell."""

import threading
from typing import Any, NamedTuple

from cachetools import LRUCache, cached
from sqlalchemy.orm import Session

from gapcast.contract.forecasts import PredictedBefore
from service.fits.asked import Asked
from service.fits.laws import Laws, Target
from service.fits.models import Fit
from service.fits.service import Current
from service.fits.summary import PoolSummary
from service.forecasts import repository
from service.forecasts.finished import LIKE, Likeness, finished
from service.forecasts.forecasting import Standing
from service.law import GapLaw, Observations
from service.law.curve import Cell, Finished, Grounds, cell


class About(NamedTuple):
    """What is asked of a run: what it is, what was predicted of it (None: nothing), and what makes it worth it."""

    asked: Asked
    predicted: PredictedBefore | None
    min_gain: float


def standing(session: Session, current: Current, about: About) -> Standing:
    """Let a pool's law and curves speak."""
    known = cell_of(session, current.fit.tenant, current.fit, about.asked)
    return _standing(about, current.laws, current.summary, known, current.fit.pool, current.fit.id)


def without_fit(about: About, pool: str) -> Standing:
    """Let the published slopes alone speak."""
    nothing = Observations(gap=[], gap_var=[], improvement=[], improvement_var=[], family=[])
    laws = Laws({(Target.TRAIN, None): GapLaw().fit(nothing)})
    return _standing(about, laws, PoolSummary(), cell([]), pool, None)


def _standing(about: About, laws: Laws, summary: PoolSummary, known: Cell, pool: str, fit_id: str | None) -> Standing:
    asked = about.asked
    answering = laws.answering(Target.TRAIN, asked.recipe.steps)
    question: dict[str, Any] = {
        "family": asked.family,
        "cell": asked.leaf(summary),
        "teacher": asked.recipe.law_teacher,
        "divergence": asked.recipe.divergence,
        "context": asked.context,
        "model": asked.model,
    }
    if asked.gap_spread is not None:
        question["gap_spread"] = asked.gap_spread
    return Standing(
        grounds=Grounds(answering.law if answering is not None else laws.whole, question, known),
        steps=asked.recipe.steps,
        min_gain=about.min_gain,
        predicted=about.predicted,
        pool=pool,
        fit_id=fit_id,
    )


def _cell_key(_: Session, tenant: str, fit: Fit, asked: Asked) -> tuple[object, ...]:
    return tenant, fit.id, asked.moded_cell, asked.tuning, asked.recipe.schedule, asked.recipe.steps


@cached(LRUCache[tuple[object, ...], Cell](256), key=_cell_key, condition=threading.Condition())
def cell_of(session: Session, tenant: str, fit: Fit, asked: Asked) -> Cell:
    """Learn from the finished runs like this one that a fit was made of, those of the pools that it borrows included.

    A fit never changes, so what they say is computed once.
    """
    wanted = Likeness(asked.moded_cell, asked.tuning, asked.recipe.schedule, asked.recipe.steps)
    pools = [(fit.pool, fit.changes), *((one.pool, one.changes) for one in (fit.summary or PoolSummary()).lent)]
    found: list[Finished | None] = []
    known: set[str] = set()
    for pool, changes in pools:
        rows = repository.curves(session, tenant, pool, changes, asked.cell, wanted.steps / LIKE, wanted.steps * LIKE)
        found += [finished(row) for row in rows if row.content not in known and wanted.to(Likeness.of(row))]
        known |= {row.content for row in rows}  # a copy in a borrowed pool counts once
    return cell([one for one in found if one is not None])
