"""The rule that stops a run which will not be worth it, as a pool's finished runs teach it."""

from threading import Condition
from typing import Protocol

from cachetools import LRUCache, cached
from sqlalchemy.orm import Session

from gapcast.contract.forecasts import AppliedRule
from service.fits.models import Fit
from service.fits.service import lent_rows
from service.forecasts import repository
from service.forecasts.leaving_out import LeftOut, left_out
from service.law.curve import ALPHA, Rule, lowest, needed, rule
from service.observations.repository import FITTED

MOST_ENDED = 400
"""finished runs that teach, the newest: a threshold of 5 % rests on 20 of them then, and each costs milliseconds"""
MOST_ROWS = 5_000
"""of which their laws are made, the newest"""
_KEPT = 2
"""fits whose finished runs stay in memory: those that runs are started under right now, tens of megabytes each"""


class Asked(Protocol):
    """What is asked of stopping (`training.stop`)."""

    @property
    def error(self) -> float | None:
        """Share of good runs that may be stopped; None: the threshold is `alpha`."""

    @property
    def alpha(self) -> float | None:
        """The threshold where none is learnt; None: the usual one."""

    @property
    def cold(self) -> bool:
        """True if a run of a cold cell may be stopped, too."""


def rule_for(session: Session, fit: Fit | None, min_gain: float, asked: Asked) -> AppliedRule:
    """Make the rule that a run is stopped by, from the finished runs that a fit knows.

    The first one of a fit takes seconds where it learns, a law for each part of the contexts.

    Args:
        session: reads.
        fit: the law that speaks of the run; None: its pool has none, and nothing is learnt.
        min_gain: improvement below which the run is not worth it.
        asked: how careful to be.
    """
    alpha = ALPHA if asked.alpha is None else asked.alpha
    good: list[float] = []
    if asked.error is not None and fit is not None:
        known = repository.count_ended(session, fit.tenant, fit.pool, fit.changes, min_gain)
        if known >= needed(asked.error):
            good = lowest_of(known_ends(session, fit), min_gain, cold=asked.cold)
        else:
            good = [0.0] * known  # too few, whatever they say
    return _shown(rule(good, asked.error, alpha, cold=asked.cold), min_gain)


def lowest_of(runs: list[LeftOut], min_gain: float, *, cold: bool) -> list[float]:
    """Return the lowest probability of each good run; of runs of cold cells only if those may be stopped, too."""
    return [
        lowest(each.looks.t, each.forecast.p_above(min_gain))
        for each in runs
        if each.end > min_gain and (cold or not each.cell.cold)
    ]


def _shown(found: Rule, min_gain: float) -> AppliedRule:
    return AppliedRule(min_gain=min_gain, **found._asdict())


def _id(session: Session, fit: Fit) -> str:
    return fit.id


# requests for one fit wait for the first of them; those for other fits do not wait
@cached(LRUCache[str, list[LeftOut]](_KEPT), key=_id, condition=Condition())
def known_ends(session: Session, fit: Fit) -> list[LeftOut]:
    """Forecast the newest finished runs of a fit by laws and curves that do not know their contexts; once a fit."""
    ended = repository.ended(session, fit.tenant, fit.pool, fit.changes, MOST_ENDED)
    if not ended:
        return []
    rows = repository.newest(session, fit.tenant, fit.pool, fit.changes, MOST_ROWS)
    lent = lent_rows(session, fit.tenant, fit.summary.lent if fit.summary is not None else [])
    return left_out(ended, rows, lent, [column.key for column in FITTED])
