"""Forecasts: the law that speaks of a run, the curves of finished runs like it, and the run's looks so far."""

import threading

import numpy as np
from cachetools import LRUCache, cached
from sqlalchemy.orm import Session

from gapcast.contract.base import FieldError
from gapcast.contract.contexts import context_key
from gapcast.contract.forecasts import Forecast, ForecastRequest, PredictedBefore
from gapcast.contract.measured import Decoding
from gapcast.contract.predictions import Answer, Interval, PredictionRequest
from gapcast.contract.probes import Difference, ProbeResult
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainedProblems
from gapcast.contract.training_results import Evaluation, TrainingRunOut
from service.catalog import service as catalog
from service.errors import NoLooks
from service.fits import repository as fit_rows
from service.fits import service as fits
from service.fits.asked import Asked
from service.fits.laws import Laws, Target
from service.fits.models import Fit
from service.fits.service import Current
from service.fits.summary import PoolSummary
from service.fits.tuning import Tuning
from service.forecasts import repository
from service.forecasts.forecasting import Run, Speaking, forecast_of
from service.kit.database import Database
from service.kit.errors import InvalidRequest
from service.law import GapLaw, Observations
from service.law.curve import Cell, Curve, Finished, cell
from service.observations import repository as observations
from service.observations.repository import AnyRow
from service.predictions.service import answered, asked_of
from service.probes import repository as probe_rows
from service.probes.configuring import trained_elsewhere, trained_problems
from service.settings import Settings
from service.tasks.service import known_task
from service.training_runs import service as training_runs

LIKE = 1.25
"""factor within which the steps of two runs are alike: T, a share of the steps, does not carry over to other lengths"""


def of_run(database: Database, tenant: str, run_id: str, settings: Settings) -> Forecast:
    """Forecast a run that is trained here, or was.

    A run that has ended is forecast by a law from before its observation was stored.

    Raises:
        NotFound: there is no such run.
        NoLooks: it has not been evaluated yet.
        OldFit: another version of the law wrote the fit from before its end.
    """
    with database.read() as session:
        run = training_runs.found(session, tenant, run_id)
        begun = _begun(session, tenant, run)
        pool = _pool_of(session, tenant, run, settings)
        stored = observations.get(session, tenant, run.observation_id) if run.observation_id is not None else None
        fit = fit_rows.newest_before(session, tenant, pool, stored.created_at) if stored is not None else None
        before = Current(fit, fits.laws_of(fit), 0) if fit is not None else None
    if stored is None:
        return _forecast(database, tenant, begun, fits.current(database, tenant, pool), run_id)
    if before is None:
        unfitted = Laws({(Target.TRAIN, None): GapLaw().fit(_nothing())})
        return forecast_of(begun, Speaking(unfitted, PoolSummary(), pool, None), cell([]), run_id)
    return _forecast(database, tenant, begun, before, run_id)


def of_request(database: Database, tenant: str, request: ForecastRequest, settings: Settings) -> Forecast:
    """Forecast a run that is trained elsewhere; nothing is stored.

    Raises:
        NotFound: there is no such prediction.
        UnknownPool: there is no such pool.
        InvalidRequest: the parts do not fit each other.
    """
    with database.read() as session:
        begun, pool = (
            _of_prediction(session, tenant, request, request.prediction_id)
            if request.prediction_id is not None
            else _of_configuration(session, tenant, request, settings)
        )
    return _forecast(database, tenant, begun, fits.current(database, tenant, pool))


def _forecast(database: Database, tenant: str, run: Run, current: Current, run_id: str | None = None) -> Forecast:
    with database.read() as session:
        known = _cell_of(session, tenant, current.fit, run.asked)
    speaking = Speaking(current.laws, current.summary, current.fit.pool, current.fit.id)
    return forecast_of(run, speaking, known, run_id)


def _cell_key(_: Session, tenant: str, fit: Fit, asked: Asked) -> tuple[object, ...]:
    return tenant, fit.id, asked.moded_cell, asked.tuning, asked.recipe.schedule, asked.recipe.steps


@cached(LRUCache[tuple[object, ...], Cell](256), key=_cell_key, condition=threading.Condition())
def _cell_of(session: Session, tenant: str, fit: Fit, asked: Asked) -> Cell:
    """Learn from the finished runs like this one that a fit was made of, those of the pools that it borrows included.

    A fit never changes, so what they say is computed once.
    """
    steps = asked.recipe.steps
    pools = [(fit.pool, fit.changes), *((one.pool, one.changes) for one in (fit.summary or PoolSummary()).lent)]
    found: list[Finished | None] = []
    known: set[str] = set()
    for pool, changes in pools:
        rows = repository.curves(session, tenant, pool, changes, asked.cell, steps / LIKE, steps * LIKE)
        found += [_finished(row) for row in rows if row.content not in known and _is_alike(row, asked)]
        known |= {row.content for row in rows}  # a copy in a borrowed pool counts once
    return cell([one for one in found if one is not None])


def _is_alike(row: AnyRow, asked: Asked) -> bool:
    tuning = Tuning.of(row.learning_rate, row.adaptation, row.training_problems).name
    schedule = row.schedule or "constant"
    return (tuning, row.mode, schedule) == (asked.tuning, asked.mode, asked.recipe.schedule)


def _finished(row: AnyRow) -> Finished | None:
    looks = row.curve or []  # null in the JSON of rows without one
    t = [look["step"] / row.steps for look in looks]
    gain, se = ([look[name] for look in looks] for name in ("improvement", "se"))
    return Finished.of_improvements(t, gain, se, row.improvement, row.improvement_se) if looks else None


def _begun(session: Session, tenant: str, run: TrainingRunOut) -> Run:
    """Read a run's looks.

    Raises:
        NoLooks: there are none.
    """
    configuration, looks = run.configuration, run.evaluations or []
    if run.baseline is None or run.gap is None:
        raise NoLooks(f"{run.id} is {run.status} and its baseline is not measured yet. {_first(run)}")
    if not looks:
        raise NoLooks(f"{run.id} is {run.status} and has not been evaluated yet. {_first(run)}")
    steps = [one.step for one in looks]
    predicted = run.predicted
    versions = {"template_version": configuration.template_version, "task_revision": configuration.task_revision}
    return Run(
        asked=Asked(
            family=run.family,
            task=configuration.task,
            recipe=configuration.recipe,
            training_problems=run.training.problems,
            context=context_key(configuration.context, **versions),
            model=configuration.model,
            mode=configuration.decoding.mode,
        ),
        steps=steps,
        looks=_curve(looks, configuration.recipe.steps),
        baseline=run.baseline,
        gap=Difference(value=run.gap.value, se=run.gap.se),
        cov=looks[-1].cov or 0.0,
        predicted=None
        if predicted is None
        else PredictedBefore(
            prediction_id=predicted.prediction_id,
            value=predicted.value,
            intervals=[Interval(level=one.level, lower=one.lower, upper=one.upper) for one in predicted.intervals],
        ),
        min_gain=_min_gain(session, tenant, run.prediction_id),
    )


def _first(run: TrainingRunOut) -> str:
    first = run.configuration.evaluate_every
    if run.ended:
        return "Only an evaluated run can be forecast."
    return f"Ask again after step {first}, where its first evaluation is (training.evaluate_every)."


def _curve(looks: list[Evaluation], steps: int) -> Curve:
    gains = [one.improvement for one in looks]
    return Curve.of_improvements(
        [one.step / steps for one in looks], [one.value for one in gains], [one.se for one in gains]
    )


def _min_gain(session: Session, tenant: str, prediction_id: str | None) -> float:
    if prediction_id is None:
        return 0.0
    return PredictionRequest.model_validate(answered(session, tenant, prediction_id).request).min_gain


def _pool_of(session: Session, tenant: str, run: TrainingRunOut, settings: Settings) -> str:
    """The pool of the run's prediction, else the run's; a shipped pool's law speaks of runs that go into `default`."""
    if run.prediction_id is not None:
        return answered(session, tenant, run.prediction_id).pool
    usual = catalog.default_pool(catalog.listed_model(settings.models, run.configuration.model))
    is_own = run.pool != catalog.DEFAULT_POOL and observations.pool(session, tenant, run.pool) is not None
    return run.pool if is_own else usual


def _of_prediction(session: Session, tenant: str, request: ForecastRequest, prediction_id: str) -> tuple[Run, str]:
    prediction = answered(session, tenant, prediction_id)
    of = PredictionRequest.model_validate(prediction.request)
    try:
        request.check_steps(of.recipe.steps)
    except FieldError as fault:
        raise InvalidRequest(f"{fault.param}: {fault.message}", param=fault.param, value=fault.value) from None
    stored = probe_rows.by_id(session, prediction.probe_id).result if prediction.probe_id is not None else None
    result = ProbeResult.model_validate(stored) if stored is not None else None
    answer = Answer.model_validate(prediction.answer)
    improvement = answer.improvement
    before = PredictedBefore(prediction_id=prediction.id, value=improvement.value, intervals=improvement.intervals)
    gap = Difference(value=answer.gap.value, se=answer.gap.se)
    min_gain = of.min_gain if request.min_gain is None else request.min_gain
    return _sent(request, asked_of(session, prediction, of, result), gap, before, min_gain), prediction.pool


def _of_configuration(session: Session, tenant: str, request: ForecastRequest, settings: Settings) -> tuple[Run, str]:
    if request.model is None or request.task is None or request.context is None:
        raise ValueError("the schema lets no request through that has neither a prediction nor these")
    task, wanted = known_task(session, tenant, request.task), request.training or TrainedProblems()
    training = trained_elsewhere(wanted) if task is None else trained_problems(wanted, task)
    asked = Asked(
        family=catalog.family_of(settings.models, request.model),
        task=request.task,
        recipe=request.recipe or Recipe(),
        training_problems=training.problems if isinstance(training.problems, int) else None,
        context=context_key(request.context),
        model=request.model.name,
        mode=(request.decoding or Decoding()).mode,
    )
    pool = request.pool or catalog.default_pool(catalog.listed_model(settings.models, request.model.name))
    gap = Difference(value=request.gap.value, se=request.gap.se) if request.gap is not None else None
    return _sent(request, asked, gap, None, request.min_gain or 0.0), pool


def _sent(
    request: ForecastRequest, asked: Asked, gap: Difference | None, before: PredictedBefore | None, least: float
) -> Run:
    baseline, steps = request.baseline, [look.step for look in request.looks]
    looks = Curve(
        t=np.array(steps) / asked.recipe.steps,
        gain=np.array([look.value for look in request.looks]) - baseline.accuracy,
        var=np.array([look.se for look in request.looks]) ** 2,
        baseline_var=baseline.se**2,
    )
    return Run(asked, steps, looks, baseline.accuracy, gap, 0.0, before, least)


def _nothing() -> Observations:
    return Observations(gap=[], gap_var=[], improvement=[], improvement_var=[], family=[])
