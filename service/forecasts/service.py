"""Forecasts: the law that speaks of a run, the curves of finished runs like it, and the run's looks so far."""

from sqlalchemy.orm import Session

from gapcast.contract.contexts import context_key
from gapcast.contract.forecasts import Forecast, ForecastGiven, ForecastRequest, PredictedBefore
from gapcast.contract.predictions import Interval, PredictionRequest
from gapcast.contract.training_results import TrainingRunOut
from service.catalog import service as catalog
from service.errors import NoLooks
from service.fits import repository as fit_rows
from service.fits import service as fits
from service.fits.asked import Asked
from service.fits.service import Current
from service.forecasts.elsewhere import describe
from service.forecasts.forecasting import Forecaster, Run
from service.forecasts.rules import rule_for
from service.forecasts.standing import About, standing, without_fit
from service.kit.database import Database
from service.observations import repository as observations
from service.predictions.service import answered
from service.settings import Settings


def of_run(database: Database, tenant: str, run: TrainingRunOut, settings: Settings) -> Forecast:
    """Forecast a run that is trained here, or was.

    A run that has ended is forecast by a law from before its observation was stored.

    Raises:
        NoLooks: it has not been evaluated yet.
        OldFit: another version of the law wrote the fit from before its end.
    """
    with database.read() as session:
        begun, about = _begun(session, tenant, run)
        pool = law_pool(session, tenant, run.prediction_id, run.pool, run.configuration.model, settings)
    return _forecast(database, tenant, begun, about, pool, run.id, run.observation_id)


def of_request(
    database: Database,
    tenant: str,
    request: ForecastRequest,
    settings: Settings,
    run_id: str | None = None,
    observation_id: str | None = None,
) -> Forecast:
    """Forecast a run that is trained elsewhere; nothing is stored.

    Args:
        database: what is known of other runs.
        tenant: whose it is.
        request: the run and its looks.
        settings: the server's.
        run_id: what the run is called in the answer.
        observation_id: its end; the law is then one from before that was stored.

    Raises:
        NotFound: there is no such prediction.
        UnknownPool: there is no such pool.
        InvalidRequest: the parts do not fit each other.
        OldFit: another version of the law wrote the fit from before its end.
    """
    with database.read() as session:
        described = describe(session, tenant, request, settings)
    described.check_steps(request.looks)
    run, about = described.run(request), described.about(request)
    return _forecast(database, tenant, run, about, described.pool, run_id, observation_id)


def _forecast(
    database: Database, tenant: str, run: Run, about: About, pool: str, run_id: str | None, observation_id: str | None
) -> Forecast:
    """Forecast by the law of today, or where the run has ended by the newest one that did not know its end."""
    if observation_id is None:
        current = fits.current(database, tenant, pool)
    else:
        with database.read() as session:
            stored = observations.get(session, tenant, observation_id)
            fit = fit_rows.newest_before(session, tenant, pool, stored.created_at) if stored is not None else None
        if fit is None:
            return Forecaster(without_fit(about, pool)).forecast(run, run_id)
        current = Current(fit, fits.laws_of(fit), 0)
    with database.read() as session:
        found = standing(session, current, about)
    return Forecaster(found).forecast(run, run_id)


def _begun(session: Session, tenant: str, run: TrainingRunOut) -> tuple[Run, About]:
    """Read a run's looks.

    Raises:
        NoLooks: there are none.
    """
    configuration, looks, passes = run.configuration, run.evaluations or [], run.rollout_looks or []
    if run.baseline is None or run.gap is None:
        raise NoLooks(f"{run.id} is {run.status} and its baseline is not measured yet. {_first(run)}")
    if not looks and not passes:
        raise NoLooks(f"{run.id} is {run.status} and has not been evaluated yet. {_first(run)}")
    begun = Run.of(run.baseline, run.gap, looks, configuration.recipe.steps, passes)
    return begun, about_run(session, tenant, run)


def newest_fit(session: Session, tenant: str, pool: str) -> str | None:
    """Name the fit that is to forecast a run that begins: the newest of a pool; None: it was never fitted."""
    found = observations.pool(session, tenant, pool)
    return found.fit_id if found is not None else None


def given(session: Session, tenant: str, run: TrainingRunOut, pool: str, fit_id: str | None) -> ForecastGiven:
    """Return what a run's child forecasts it by, under one fit; with the rule that stops it, if that was asked for.

    The first rule of a fit takes seconds where it learns.

    Raises:
        OldFit: another version of the law wrote the fit.
    """
    about, stop = about_run(session, tenant, run), run.configuration.options.stop
    if fit_id is None:
        found = without_fit(about, pool)
    else:
        found = standing(session, fits.fixed(session, tenant, fit_id), about)
    if stop is not None:
        fit = fits.get(session, tenant, fit_id) if fit_id is not None else None
        found = found._replace(rule=rule_for(session, fit, about.min_gain, stop.resolved))
    return found.given


def about_run(session: Session, tenant: str, run: TrainingRunOut) -> About:
    """Read what a run is, what was predicted of it, and what makes it worth it.

    That is the gain that its stopping rule was given, else its prediction's, else any.
    """
    configuration, predicted = run.configuration, run.predicted
    versions = {"template_version": configuration.template_version, "task_revision": configuration.task_revision}
    return About(
        asked=Asked(
            family=run.family,
            task=configuration.task,
            recipe=configuration.recipe,
            training_problems=run.training.problems,
            context=context_key(configuration.context, **versions),
            model=configuration.model,
            mode=configuration.decoding.mode,
        ),
        predicted=None
        if predicted is None
        else PredictedBefore(
            prediction_id=predicted.prediction_id,
            value=predicted.value,
            intervals=[Interval(level=one.level, lower=one.lower, upper=one.upper) for one in predicted.intervals],
        ),
        min_gain=_min_gain(session, tenant, run),
    )


def _first(run: TrainingRunOut) -> str:
    first = run.configuration.evaluate_every
    if run.ended:
        return "Only an evaluated run can be forecast."
    return f"Ask again after step {first}, where its first evaluation is (training.evaluate_every)."


def _min_gain(session: Session, tenant: str, run: TrainingRunOut) -> float:
    stop = run.configuration.options.stop
    if stop is not None and stop.min_gain is not None:
        return stop.min_gain
    if run.prediction_id is None:
        return 0.0
    return PredictionRequest.model_validate(answered(session, tenant, run.prediction_id).request).min_gain


def law_pool(
    session: Session, tenant: str, prediction_id: str | None, pool: str, model: str, settings: Settings
) -> str:
    """Name the pool whose law speaks of a run: its prediction's, else that of its observation.

    A shipped pool's law speaks of runs that go into `default`.
    """
    if prediction_id is not None:
        return answered(session, tenant, prediction_id).pool
    usual = catalog.default_pool(catalog.listed_model(settings.models, model))
    is_own = pool != catalog.DEFAULT_POOL and observations.pool(session, tenant, pool) is not None
    return pool if is_own else usual
