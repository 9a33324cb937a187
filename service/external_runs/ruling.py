"""What a stopping rule says of a forecast (docs: LIVE, "Stopping rule"); pure, no database."""

import hashlib

from gapcast.contract.forecasts import Forecast, ForecastAt
from gapcast.contract.stopping import ALPHA, Reason, Ruling, StopRule
from gapcast.words import ruling

EARLIEST, LATEST = 0.05, 0.75
"""shares of the steps between which a run may be stopped: before them a look says little, after them little is saved"""
KEPT = 10
"""one stop in so many is announced and not carried out: else nobody could check the rule again"""


def goes_on(seed: str) -> bool:
    """True if a run is one of those that are never stopped, drawn by its seed."""
    return int(hashlib.sha256(seed.encode()).hexdigest(), 16) % KEPT == 0


def rulings(forecast: Forecast, rule: StopRule, learnt: float | None, seed: str, after: int = 0) -> list[Ruling]:
    """Return what the rule says after each look that comes after a step.

    Args:
        forecast: of the run.
        rule: as it was asked for.
        learnt: the threshold of its stated error; None: too few finished runs are stored for one.
        seed: of the run.
        after: the step.
    """
    is_learnt = rule.alpha is None and learnt is not None
    threshold = learnt if is_learnt and learnt is not None else rule.alpha or ALPHA
    found = []
    for look in forecast.looks:
        if look.step > after:
            reason = _reason(look, threshold, cold=forecast.curves.cold and not rule.cold, kept=goes_on(seed))
            found.append(
                Ruling(
                    step=look.step,
                    stop=reason == "hopeless",
                    reason=reason,
                    p_above_min_gain=look.p_above_min_gain,
                    threshold=threshold,
                    learnt=is_learnt,
                    message=ruling(reason, look.p_above_min_gain, forecast.min_gain, threshold, forecast.curves.runs),
                )
            )
    return found


def _reason(look: ForecastAt, threshold: float, *, cold: bool, kept: bool) -> Reason:
    if look.p_above_min_gain >= threshold:
        return "worth_it"
    if look.share < EARLIEST:
        return "too_early"
    if look.share > LATEST:
        return "too_late"
    if cold:
        return "cold"
    return "kept_going" if kept else "hopeless"
