"""A run's forecasts, and the rules that stop it: futility by law and curve, harm by its own scores alone."""

import hashlib
from collections.abc import Mapping
from typing import Any, Self

from gapcast.contract.events import TrainingForecast
from gapcast.contract.forecasts import ForecastAt, ForecastGiven
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import EarlyStop, Rule, TrainingPartial
from service.deciding.eliminating import smaller
from service.forecasts.forecasting import Forecaster, Run, Standing
from service.law.curve import is_checked
from service.scores import Scores
from workers.opsd.configuration import own_seed
from workers.opsd.watching import Looked

HARM = 0.05
"""risk that harm is seen in a run that does none, over all of its evaluations together"""


class LawWatch:
    """Implements `workers.opsd.watching.Watch`. It remembers nothing: a resumed run is decided about as it was."""

    def __init__(self, standing: Standing, seed: int) -> None:
        self._standing = standing
        draw = int(hashlib.sha256(str(seed).encode()).hexdigest(), 16)
        self._is_checked = is_checked(draw)

    @classmethod
    def read(cls, configuration: TrainingConfiguration, given: Mapping[str, Any] | None) -> Self | None:
        """Read what the worker has given; None: it has nothing to forecast from."""
        if given is None:
            return None
        return cls(Standing.read(ForecastGiven.model_validate(given)), own_seed(configuration))

    def look(self, so_far: TrainingPartial, step: int, scores: tuple[Scores, Scores] | None) -> Looked:
        """Look at a run (`Watch.look`)."""
        evaluations, standing = so_far.evaluations or [], self._standing
        run = Run.of(so_far.baseline, so_far.gap, evaluations, standing.steps, so_far.rollout_looks or [])
        found = Forecaster(standing).forecast(run)
        forecast = TrainingForecast(now=found.now, before=found.before, min_gain=found.min_gain, curves=found.curves)
        stop = None
        if standing.rule is not None and scores is not None and harmed(*scores, len(evaluations)):
            stop = self._stop(step, "harm", found.now)
        elif standing.stops(found.now.model_copy(update={"share": step / standing.steps})):
            stop = self._stop(step, "futility", found.now)
        return Looked(forecast, stop)

    def _stop(self, step: int, rule: Rule, now: ForecastAt) -> EarlyStop:
        known, is_futile = self._standing.rule, rule == "futility"
        return EarlyStop(
            step=step,
            rule=rule,
            carried_out=not (is_futile and self._is_checked),
            improvement=now.without_law,
            p_above_min_gain=now.p_above_min_gain,
            threshold=known.threshold if known is not None and is_futile else None,
            learnt=known.learnt if known is not None and is_futile else None,
            min_gain=self._standing.min_gain,
        )


def harmed(before: Scores, after: Scores, looks: int) -> bool:
    """Return True if a run's problems are solved less often than before training, beyond doubt.

    The sequence holds for any number of problems; look k has 1 / (k (k + 1)) of the whole risk, which sums to one.

    Args:
        before: (problems, rollouts) before the first step.
        after: the same problems now.
        looks: evaluations so far, this one among them.
    """
    return smaller(after.mean(axis=1), before.mean(axis=1), HARM / (looks * (looks + 1)))
