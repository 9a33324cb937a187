"""Stored fits as the API shows them."""

import threading
from typing import TypedDict

from cachetools import LRUCache, cached

from gapcast.contract.fits import (
    AtGap,
    Borrowed,
    CellCoefficients,
    Coefficients,
    Drift,
    FitOut,
    FitSummary,
    LentPool,
    LinkWeights,
)
from gapcast.contract.recipes import Recipe
from service import law
from service.fits import service
from service.fits.models import Fit
from service.kit.clock import rfc3339
from service.law.curves import COMMON_GAP

MOST_CELLS = 200
"""of a pool whose cells are shown with it: each takes some milliseconds"""
_KEPT = 8
"""fits whose answers stay in memory, those that were asked for last"""


def _id(fit: Fit) -> str:
    return fit.id


@cached(LRUCache[str, FitOut](_KEPT), key=_id, condition=threading.Condition())
def fit_out(fit: Fit) -> FitOut:
    """Show a stored fit; each of its lines takes the law some milliseconds, and a fit never changes."""
    fitted = service.law_of(fit)

    def line(family: str, key: law.Key, n: int) -> Coefficients:
        teacher, divergence = key.teacher, key.known_divergence
        return Coefficients(
            teacher_rule=key.rule,
            divergence=divergence,
            family=family,
            status=fitted.status(family, teacher=teacher, divergence=divergence),
            n=n,
            **curved(fitted.coefficients(family, teacher=teacher, divergence=divergence)),
        )

    def cell_line(family: str, cell: str, key: law.Key, n: int) -> CellCoefficients:
        found = curved(fitted.coefficients(family, cell, teacher=key.teacher, divergence=key.known_divergence))
        return CellCoefficients(**(line(family, key, n).model_dump() | found), cell=cell)

    recipes, cells = fitted.recipes_, fitted.leaves_
    keys = sorted({key for _, key in recipes}) or [law.Key.of(Recipe().teacher, Recipe().divergence)]
    drift = fit.summary.drift if fit.summary is not None else None
    return FitOut(
        id=fit.id,
        pool=fit.pool,
        n=fit.n,
        changes=fit.changes,
        fingerprint=fit.fingerprint,
        families=[line(family, key, n) for (family, key), n in recipes.items()],
        cells=[cell_line(*leaf, n) for leaf, n in cells.items()] if len(cells) <= MOST_CELLS else [],
        populations=[line("", key, 0) for key in keys],
        p_collapse=fitted.p_collapse_,
        curvature_p=fitted.curvature_ if fitted.curvature_ == fitted.curvature_ else None,
        drift=None
        if drift is None
        else [Drift(family=name, alarm=found.alarm, **found.model_dump()) for name, found in drift.items()],
        borrowed=_borrowed(fit, fitted),
        created_at=rfc3339(fit.created_at),
    )


def _borrowed(fit: Fit, fitted: law.GapLaw) -> Borrowed | None:
    if fit.summary is None or not fit.summary.lent:
        return None
    return Borrowed(
        pools=[LentPool(**one.model_dump()) for one in fit.summary.lent],
        families=fitted.lent_,
        own_rows_only=list(fitted.not_lent_),
    )


def fit_summary(fit: Fit) -> FitSummary:
    """Show a stored fit without its coefficients, which need its record."""
    return FitSummary(
        id=fit.id,
        pool=fit.pool,
        n=fit.n,
        changes=fit.changes,
        fingerprint=fit.fingerprint,
        created_at=rfc3339(fit.created_at),
    )


class CurvedFields(TypedDict):
    """The fields of `Curved`, and the improvement at the common gap."""

    slope: float
    slope_interval: list[float]
    intercept: float
    intercept_interval: list[float]
    links: LinkWeights
    depends_on_link: bool
    at_common_gap: AtGap


def curved(found: law.Coefficients) -> CurvedFields:
    """Return what the coefficients say of a curve."""
    return {
        "slope": found.slope.mean,
        "slope_interval": list(found.slope[1:]),
        "intercept": found.intercept.mean,
        "intercept_interval": list(found.intercept[1:]),
        "links": LinkWeights(**found.links),
        "depends_on_link": found.depends_on_link,
        "at_common_gap": AtGap(
            gap=COMMON_GAP,
            improvement=found.improvement.mean,
            improvement_interval=list(found.improvement[1:]),
        ),
    }
