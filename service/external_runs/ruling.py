"""What a stopping rule says of a forecast (docs: LIVE, "Stopping rule"); pure, no database."""

import hashlib

from gapcast.contract.forecasts import Forecast, ForecastAt
from gapcast.contract.stopping import Reason, Ruling
from gapcast.words import ruling
from service.law.curve import Rule, is_checked
from service.law.curve.stopping import FIRST, LAST


def rulings(forecast: Forecast, rule: Rule, seed: str, after: int = 0) -> list[Ruling]:
    """Return what a rule says after each look that comes after a step; `seed` is the run's."""
    draw = int(hashlib.sha256(seed.encode()).hexdigest(), 16)
    return [
        _ruling(look, _reason(look, forecast, rule, is_kept=is_checked(draw)), forecast, rule)
        for look in forecast.looks
        if look.step > after
    ]


def _ruling(look: ForecastAt, reason: Reason, forecast: Forecast, rule: Rule) -> Ruling:
    probability = look.p_above_min_gain
    return Ruling(
        step=look.step,
        stop=reason == "hopeless",
        reason=reason,
        p_above_min_gain=probability,
        threshold=rule.threshold,
        learnt=rule.learnt,
        message=ruling(reason, probability, forecast.min_gain, rule.threshold, forecast.curves.runs),
    )


def _reason(look: ForecastAt, forecast: Forecast, rule: Rule, *, is_kept: bool) -> Reason:
    if rule.stops(look.share, look.p_above_min_gain, is_cold=forecast.curves.cold):
        return "kept_going" if is_kept else "hopeless"
    if look.p_above_min_gain >= rule.threshold:
        return "worth_it"
    if look.share < FIRST:
        return "too_early"
    return "too_late" if look.share > LAST else "cold"
