"""How predictions turned out whose outcomes a fit knows."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy.orm import Session

from gapcast.contract.fits import (
    Calibration,
    LevelCalibration,
    Outcome,
)
from gapcast.contract.predictions import PROBABILITIES
from service.fits.models import Fit
from service.kit.clock import rfc3339
from service.kit.errors import InvalidRequest
from service.law.calibration import calibrate, running
from service.predictions import repository

MOST_OUTCOMES = 1_000
"""the newest outcomes that a calibration shows one by one; its figures are over all of them"""


def calibration(session: Session, fit: Fit, levels: Sequence[float]) -> Calibration:
    """How the predictions turned out whose outcomes are among the rows of a fit.

    Left out and counted: outcomes of runs that collapsed (P(collapse) stands beside the interval), refused predictions,
    those made when their outcome was stored already.

    Raises:
        InvalidRequest: a level that the stored quantiles do not reach.
    """
    widest = PROBABILITIES[-1] - PROBABILITIES[0]
    for level in levels:
        if level > widest + 1e-9:
            raise InvalidRequest(
                f"level: {level} is over {widest:g}, the widest that is stored", param="level", value=level
            )
    left_out = {"collapsed": 0, "refused": 0, "known_before": 0, "without_quantiles": 0}
    kept = []
    for row in repository.outcomes(session, fit.tenant, fit.pool, fit.changes):
        improvement = row.answer["improvement"]
        if row.collapsed:
            left_out["collapsed"] += 1
        elif improvement["value"] is None:
            left_out["refused"] += 1
        elif row.predicted_at_changes >= row.added_at or row.predicted_at >= row.created_at:
            left_out["known_before"] += 1
        elif not improvement.get("quantiles"):
            left_out["without_quantiles"] += 1
        else:
            kept.append((row, improvement))
    found = calibrate(
        [row.improvement for row, _ in kept],
        [improvement["value"] for _, improvement in kept],
        PROBABILITIES,
        np.array([improvement["quantiles"]["values"] for _, improvement in kept]).reshape(-1, len(PROBABILITIES)),
        levels,
    )
    cumulative = [running(inside) for inside in found.inside]
    outcomes = [
        Outcome(
            observation_id=row.id,
            prediction_id=row.prediction_id,
            fit_id=row.fit_id,
            at=rfc3339(row.created_at),
            predicted=improvement["value"],
            outcome=row.improvement,
            pit=float(found.pit[index]),
            inside=[bool(level[index]) for level in found.inside],
            coverage_so_far=[float(level[index]) for level in cumulative],
        )
        for index, (row, improvement) in enumerate(kept)
    ]
    return Calibration(
        fit_id=fit.id,
        n=found.n,
        predictions=len({row.prediction_id for row, _ in kept}),
        left_out=left_out,
        bias=found.bias,
        bias_se=found.bias_se,
        mae=found.mae,
        mean_pit=found.mean_pit,
        pit_histogram=np.histogram(found.pit, bins=10, range=(0, 1))[0].tolist(),
        levels=[LevelCalibration(**one._asdict()) for one in found.levels],
        outcomes=outcomes[-MOST_OUTCOMES:],
    )
