"""Runs that are trained elsewhere, in the law's terms: what is trained, its gap, its looks."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from sqlalchemy.orm import Session

from gapcast.contract.base import FieldError
from gapcast.contract.contexts import context_key
from gapcast.contract.forecasts import ForecastRequest, GivenLook, PredictedBefore, RunElsewhere
from gapcast.contract.measured import Decoding
from gapcast.contract.predictions import Answer, PredictionRequest
from gapcast.contract.probes import Difference, ProbeResult
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainedProblems
from service.catalog import service as catalog
from service.fits.asked import Asked
from service.forecasts.forecasting import Run
from service.forecasts.standing import About
from service.kit.errors import InvalidRequest
from service.law import paired
from service.law.curve import Curve
from service.predictions.answering import asked_of, probe_of
from service.predictions.service import answered
from service.probes import repository as probe_rows
from service.probes.configuring import trained_elsewhere, trained_problems
from service.settings import Settings
from service.tasks.service import known_task

LEAST_WITHIN = 0.02
"""of p (1 - p), however few rollouts fail: the floor of a look's variance (docs: LIVE, "The model")"""


class Described(NamedTuple):
    """A run that is trained elsewhere, as its request describes it.

    Attributes:
        asked: what is trained. gap: None: unknown.
        before: what was predicted of it; None: nothing was.
        min_gain: the prediction's. pool: that it is forecast from.
        request: the configuration, the prediction's or as it was sent.
    """

    asked: Asked
    gap: Difference | None
    before: PredictedBefore | None
    min_gain: float
    pool: str
    request: PredictionRequest

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.asked.recipe.steps

    def check_steps(self, looks: Sequence[GivenLook]) -> None:
        """Refuse a look beyond the run's last step.

        Raises:
            InvalidRequest: names it.
        """
        try:
            RunElsewhere.check_steps(looks, self.steps)
        except FieldError as fault:
            raise InvalidRequest(f"{fault.param}: {fault.message}", param=fault.param, value=fault.value) from None

    def about(self, request: ForecastRequest) -> About:
        """Return what is asked of the run."""
        return About(self.asked, self.before, self.min_gain if request.min_gain is None else request.min_gain)

    def run(self, request: ForecastRequest) -> Run:
        """Return the run with its looks so far."""
        baseline, steps = request.baseline, [look.step for look in request.looks]
        looks = Curve(
            t=np.array(steps) / self.steps,
            gain=np.array([look.value for look in request.looks]) - baseline.accuracy,
            var=np.array([look_se(request, look) for look in request.looks]) ** 2,
            baseline_var=baseline_se(request) ** 2,
        )
        return Run(steps, looks, baseline.accuracy, self.gap, 0.0)


def describe(session: Session, tenant: str, request: RunElsewhere, settings: Settings) -> Described:
    """Return what a run is in the law's terms.

    Raises:
        NotFound: there is no such prediction.
        InvalidRequest: the parts do not fit each other.
    """
    if request.prediction_id is not None:
        return _of_prediction(session, tenant, request.prediction_id)
    return _of_configuration(session, tenant, request, settings)


def baseline_se(request: RunElsewhere) -> float:
    """The standard error of the baseline over its rollouts, as sent or assumed."""
    sent = request.baseline.se
    return sent if sent is not None else _assumed(request, request.baseline.accuracy, "w_student")


def look_se(request: RunElsewhere, look: GivenLook) -> float:
    """The standard error of a look over its rollouts, as sent or assumed."""
    return look.se if look.se is not None else _assumed(request, look.value, "w_teacher")


def _assumed(request: RunElsewhere, accuracy: float, within: Literal["w_student", "w_teacher"]) -> float:
    """Assume how rollouts vary about problems that are like the law's (docs: LAW, "Acceptance")."""
    problems, rollouts = request.evaluation.problems, request.evaluation.rollouts
    if problems is None or rollouts is None:
        raise ValueError("the schema lets no request through that has neither a standard error nor these")
    assumed = paired.assumed_components(request.baseline.accuracy, accuracy - request.baseline.accuracy)
    return float((max(getattr(assumed, within), LEAST_WITHIN) / problems / rollouts) ** 0.5)


def _of_prediction(session: Session, tenant: str, prediction_id: str) -> Described:
    prediction = answered(session, tenant, prediction_id)
    of = PredictionRequest.model_validate(prediction.request)
    stored = probe_rows.by_id(session, prediction.probe_id).result if prediction.probe_id is not None else None
    result = ProbeResult.model_validate(stored) if stored is not None else None
    answer = Answer.model_validate(prediction.answer)
    improvement = answer.improvement
    before = PredictedBefore(prediction_id=prediction.id, value=improvement.value, intervals=improvement.intervals)
    gap = Difference(value=answer.gap.value, se=answer.gap.se)
    asked = asked_of(of, prediction.family, probe_of(session, prediction), result)
    return Described(asked, gap, before, of.min_gain, prediction.pool, of)


def _of_configuration(session: Session, tenant: str, request: RunElsewhere, settings: Settings) -> Described:
    if request.model is None or request.task is None or request.context is None:
        raise ValueError("the schema lets no request through that has neither a prediction nor these")
    task, wanted = known_task(session, tenant, request.task), request.training or TrainedProblems()
    training = trained_elsewhere(wanted) if task is None else trained_problems(wanted, task)
    of = PredictionRequest(
        model=request.model,
        task=request.task,
        context=request.context,
        recipe=request.recipe or Recipe(),
        decoding=request.decoding or Decoding(),
        training=wanted,
        pool=request.pool,
    )
    asked = Asked(
        family=catalog.family_of(settings.models, request.model),
        task=of.task,
        recipe=of.recipe,
        training_problems=training.problems if isinstance(training.problems, int) else None,
        context=context_key(of.context),
        model=of.model.name,
        mode=of.decoding.mode,
    )
    pool = request.pool or catalog.default_pool(catalog.listed_model(settings.models, request.model.name))
    gap = Difference(value=request.gap.value, se=request.gap.se) if request.gap is not None else None
    return Described(asked, gap, None, 0.0, pool, of)
