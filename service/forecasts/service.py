"""Forecasts: the law that speaks of a run, the curves of finished runs like it, and the run's looks so far."""

from sqlalchemy.orm import Session

from gapcast.contract.contexts import context_key
from gapcast.contract.forecasts import Forecast, ForecastRequest, PredictedBefore
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
from service.forecasts.standing import About, standing, without_fit
from service.kit.database import Database
from service.observations import repository as observations
from service.predictions.service import answered
from service.settings import Settings
from service.training_runs import service as training_runs


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
        begun, about = _begun(session, tenant, run)
        pool = _pool_of(session, tenant, run, settings)
    return _forecast(database, tenant, begun, about, pool, run_id, run.observation_id)


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
    configuration, looks = run.configuration, run.evaluations or []
    if run.baseline is None or run.gap is None:
        raise NoLooks(f"{run.id} is {run.status} and its baseline is not measured yet. {_first(run)}")
    if not looks:
        raise NoLooks(f"{run.id} is {run.status} and has not been evaluated yet. {_first(run)}")
    return Run.of(run.baseline, run.gap, looks, configuration.recipe.steps), about_run(session, tenant, run)


def about_run(session: Session, tenant: str, run: TrainingRunOut) -> About:
    """Read what a run is, what was predicted of it, and what makes it worth it: its prediction's, else any gain."""
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
            thinking=configuration.decoding.thinking,
        ),
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
