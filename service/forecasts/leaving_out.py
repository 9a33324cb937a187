"""Finished runs, forecast by a law and by curves that do not know their contexts: how good forecasts are; pure.

A learnt threshold of stopping and the calibration of forecasts rest on them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gapcast.contract.recipes import recipe_class_of
from service.fits.laws import Table, fit_answering
from service.fits.tuning import leaf_of
from service.forecasts.finished import Likeness, finished
from service.law import GapLaw
from service.law.curve import Begun, Cell, Curve, Evidence, Finished, Forecast, Grounds, evidence, known
from service.observations.repository import AnyRow

MOST_FOLDS = 8
"""laws that are fitted for it, each without a part of the contexts: half a second each, once a fit"""


class LeftOut(NamedTuple):
    """A finished run and its forecasts by those who do not know its context.

    Attributes:
        end: its measured improvement. looks: those before its end.
        forecast: after each of them. cell: what was known of runs like it.
        fold: the contexts that were left out, its own among them.
    """

    end: float
    looks: Curve
    forecast: Forecast
    cell: Cell
    fold: int


class _Ended(NamedTuple):
    row: AnyRow
    run: Finished
    evidence: Evidence
    likeness: Likeness
    fold: int


def left_out(
    ended: Sequence[AnyRow], rows: Sequence[AnyRow], lent: Sequence[AnyRow], names: Sequence[str]
) -> list[LeftOut]:
    """Forecast each finished run with a curve.

    Args:
        ended: those, with the columns of a fit.
        rows: of which the laws are made.
        lent: rows of pools that are borrowed.
        names: the columns of `rows`.
    """
    folds = _folds([row.context for row in ended])
    runs = [
        _Ended(row, run, evidence(run), Likeness.of(row), folds[row.context])
        for row in ended
        if (run := finished(row)) is not None
    ]
    others = Table(lent, names) if lent else None
    found: list[LeftOut] = []
    for fold in sorted({each.fold for each in runs}):
        kept = Table([row for row in rows if folds.get(row.context) != fold], names)
        laws: dict[int, GapLaw] = {}
        cells: dict[Likeness, Cell] = {}
        for each in runs:
            if each.fold != fold:
                continue
            steps, likeness = each.row.steps, each.likeness
            if steps not in laws:
                laws[steps] = fit_answering(kept, others, steps)
            if likeness not in cells:
                like = [one.evidence for one in runs if one.fold != fold and likeness.to(one.likeness)]
                cells[likeness] = known(len(like), like)
            found.append(_forecast(each, laws[steps], kept, cells[likeness]))
    return found


def _folds(contexts: Sequence[str | None]) -> dict[str | None, int]:
    """Share contexts out among folds; a run of unknown context may be of any, so those are one."""
    names = sorted(set(contexts), key=lambda name: (name is None, name))
    return {name: place % MOST_FOLDS for place, name in enumerate(names)}


def _forecast(each: _Ended, law: GapLaw, kept: Table, of_cell: Cell) -> LeftOut:
    row, run = each.row, each.run
    recipe = recipe_class_of(row.cell)
    question = {
        "family": row.family,
        "cell": leaf_of(kept.cells, each.likeness.cell, each.likeness.tuning),
        "teacher": recipe.teacher,
        "divergence": recipe.divergence,
        "context": row.context,
        "model": row.model,
        "gap_spread": np.nan if row.gap_spread is None else row.gap_spread,
    }
    cov = row.curve[0].get("cov", row.cov)
    begun = Begun(row.baseline, row.gap, row.gap_se**2, cov)
    expected = Grounds(law, question, of_cell).begin(begun, float(run.curve.var[0]), run.curve.baseline_var)
    return LeftOut(run.end, run.curve, expected.after(run.curve), of_cell, each.fold)
