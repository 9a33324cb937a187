"""What the page's plot shows, read from the store."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy.orm import Session

from service.fits import service as fits
from service.law import GapLaw, Probe
from service.observations import repository as observations
from service.observations.models import Observation
from service.predictions import repository as predictions
from service.predictions.models import Prediction
from service.predictions.service import missing
from service.web.plots import ChartData, Curve, ObservationPoint, PredictionPoint

LEVEL = 0.95
MARGIN = 0.05
"""how far, in accuracy, the curve runs past the outermost gap"""
MOST_POINTS = 2000
"""the newest observations that are drawn: more would be a blot and slow every browser"""
STEPS = 60
"""points of the curve: smooth at the page's width"""


def read_chart(session: Session, tenant: str, pool: str, family: str | None, prediction_id: str | None) -> ChartData:
    """Read observations, one family's curve, and a prediction.

    Raises:
        NotFound: the tenant has no such prediction.
    """
    point, prediction = None, None
    if prediction_id is not None:
        row = predictions.get(session, tenant, prediction_id)
        if row is None:
            raise missing(prediction_id)
        prediction = row[0]
        point = _prediction_point(prediction)
    rows = observations.fitted(session, tenant, pool)
    shown, cell = _shown(rows, family, prediction)
    fit = fits.find_current(session, tenant, pool)
    curve = None
    if fit is not None and shown is not None:
        gaps = [row.gap for row in rows] + ([point.gap] if point is not None else [])
        curve = _curve(fits.law_of(fit), shown, cell, gaps)
    return [_point(row) for row in rows[-MOST_POINTS:]], curve, point


def _shown(
    rows: Sequence[Observation], family: str | None, prediction: Prediction | None
) -> tuple[str | None, str | None]:
    """The family and cell whose line is drawn: the prediction's, else those with the most points."""
    if prediction is not None and family in {None, prediction.family}:
        return prediction.family, prediction.answer["law"]["cell"] if prediction.answer else None
    shown = family or _most_frequent([row.family for row in rows])
    return shown, _most_frequent([row.cell for row in rows if row.family == shown and row.cell is not None])


def _most_frequent(names: Sequence[str]) -> str | None:
    return max(sorted(set(names)), key=names.count) if names else None


def _curve(law: GapLaw, family: str, cell: str | None, gaps: list[float]) -> Curve:
    grid = np.linspace(min([0.0, *gaps]) - MARGIN, min(max([0.3, *gaps]) + MARGIN, 1.0), STEPS)
    line = law.line(family, grid, cell, LEVEL)
    # exactly known gaps and the latent improvement: the band is the law's own
    band = law.predict_improvement(Probe(gap=grid, gap_var=0.0, family=family, cell=cell)).interval(LEVEL)
    return Curve(
        family=family,
        gaps=grid.tolist(),
        mean=line.mean.tolist(),
        confidence_lower=line.lower.tolist(),
        confidence_upper=line.upper.tolist(),
        prediction_lower=band[0].tolist(),
        prediction_upper=band[1].tolist(),
        level=LEVEL,
    )


def _point(row: Observation) -> ObservationPoint:
    return ObservationPoint(
        gap=row.gap,
        gap_se=row.gap_se,
        improvement=row.improvement,
        improvement_se=row.improvement_se,
        model=row.model,
        context=row.context_kind,
        family=row.family,
        excluded=row.excluded,
    )


def _prediction_point(prediction: Prediction) -> PredictionPoint | None:
    if prediction.answer is None:
        return None
    gap, improvement = prediction.answer["gap"], prediction.answer["improvement"]
    return PredictionPoint(
        gap=gap["value"],
        gap_se=gap["se"],
        mean=improvement["value"],
        intervals=[(one["level"], one["lower"], one["upper"]) for one in improvement["intervals"]],
        label=f"{prediction.request['context']['kind']}, {prediction.request['model']['name']}",
    )
