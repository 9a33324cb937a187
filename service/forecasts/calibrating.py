"""How forecasts and the rule of stopping do on the finished runs that a fit knows, their contexts left out."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy.orm import Session

from gapcast.contract.fits import Calibration, ForecastCalibration, ForecastsCalibration, StopCalibration
from service.fits.models import Fit
from service.forecasts.leaving_out import LeftOut
from service.forecasts.rules import known_ends
from service.law.calibration import wilson
from service.law.curve import ERROR, Rule, lowest, rule, stopped_at
from service.predictions.calibration import calibration as of_predictions

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
"""of the steps: later a forecast saves little"""
ROUNDING = 0.01
"""by which a look may lie beyond a share: 7 of 150 steps are 5 %"""
MIN_GAINS = (0.0, 0.05, 0.10)
LEVEL = (0.025, 0.975)


def calibration(session: Session, fit: Fit, levels: Sequence[float]) -> Calibration:
    """Say how predictions and forecasts turned out that are of runs which a fit knows; the latter once a fit.

    Raises:
        InvalidRequest: a level that the stored quantiles do not reach.
    """
    found = of_predictions(session, fit, levels)
    return found.model_copy(update={"forecasts": of_forecasts(known_ends(session, fit))})


def of_forecasts(runs: Sequence[LeftOut]) -> ForecastsCalibration | None:
    """Judge forecasts by the ends of runs; None without one."""
    if not runs:
        return None
    found = [_at(runs, first, share) for first, share in zip((0.0, *SHARES), SHARES, strict=False)]
    return ForecastsCalibration(
        runs=len(runs),
        cold=sum(each.cell.cold for each in runs),
        at=[one for one in found if one is not None],
        stops=[_stops(runs, least) for least in MIN_GAINS],
    )


def _at(runs: Sequence[LeftOut], after: float, share: float) -> ForecastCalibration | None:
    """Judge the last look up to a share of the steps that is not one of an earlier share."""
    rows = []
    for each in runs:
        t = each.looks.t
        looks = np.flatnonzero((t > after + ROUNDING) & (t <= share + ROUNDING))
        if len(looks):
            k = int(looks[-1])
            lower, upper = each.forecast.quantiles(LEVEL)[k]
            mean, last = each.forecast.mean[k], each.looks.gain[k]
            inside = lower <= each.end <= upper
            rows.append((inside, upper - lower, abs(mean - each.end), abs(last - each.end)))
    if not rows:
        return None
    coverage, width, mae, last_mae = np.mean(rows, axis=0).tolist()
    low, high = wilson(round(coverage * len(rows)), len(rows))
    return ForecastCalibration(
        share=share,
        runs=len(rows),
        coverage=coverage,
        lower=low,
        upper=high,
        width=width,
        mae=mae,
        last_value_mae=last_mae,
    )


def _stops(runs: Sequence[LeftOut], least: float) -> StopCalibration:
    """Stop each run by a threshold that the good runs of other contexts teach."""
    p_good = [each.forecast.p_above(least) for each in runs]
    low = [lowest(each.looks.t, p) for each, p in zip(runs, p_good, strict=True)]
    rules: dict[int, Rule] = {}
    for fold in {each.fold for each in runs}:
        pairs = zip(runs, low, strict=True)
        rules[fold] = rule([p for one, p in pairs if one.fold != fold and one.end > least and not one.cell.cold])
    good = stopped = bad = 0
    saved = 0.0
    for each, p in zip(runs, p_good, strict=True):
        at = None if each.cell.cold else stopped_at(each.looks.t, p, rules[each.fold].threshold)
        if each.end > least:
            good, stopped = good + 1, stopped + (at is not None)
        else:
            bad, saved = bad + 1, saved + (0.0 if at is None else 1 - at)
    return StopCalibration(
        min_gain=least,
        error=ERROR,
        learnt=all(one.learnt for one in rules.values()),
        good=good,
        good_stopped=stopped,
        bad=bad,
        saved=saved / bad if bad else None,
    )
