"""External runs while they go: the forecast after each look, and what the stopping rule says of it."""

from gapcast.contract.external_runs import ExternalRunOut
from gapcast.contract.forecasts import Forecast, ForecastRequest, RunElsewhere
from gapcast.contract.probes import Difference
from gapcast.contract.stopping import StopRule
from service.external_runs import repository, service
from service.external_runs.models import RUNNING, ExternalRun
from service.external_runs.presenting import run_out
from service.external_runs.ruling import rulings
from service.fits import repository as fits
from service.forecasts.rules import rule_for
from service.forecasts.service import of_request
from service.kit.database import Database
from service.law.curve import Rule
from service.observations import repository as observations
from service.settings import Settings


def shown(database: Database, tenant: str, run_id: str, settings: Settings) -> ExternalRunOut:
    """Read a run with its forecast.

    Raises:
        NotFound: this tenant has none of this id.
        OldFit: another version of the law wrote the fit from before its end.
    """
    row = _read(database, tenant, run_id)
    return run_out(row, _forecast(database, row, settings) if row.status != "cancelled" else None)


def rule(database: Database, tenant: str, run_id: str, settings: Settings) -> None:
    """Judge the looks that the rule has not been asked about, and keep what it says.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = _read(database, tenant, run_id)
    request = service.request_of(row)
    if request.stop is None or row.status != RUNNING:
        return
    forecast = _forecast(database, row, settings)
    if forecast is None:
        return
    judged = row.ruling["step"] if row.ruling is not None else 0
    seed = str(request.seed) if request.seed is not None else row.id
    said = rulings(forecast, _rule(database, tenant, request.stop, forecast), seed, judged)
    if not said:
        return
    announced = [one.step for one in said if one.reason in {"hopeless", "kept_going"}]
    with database.write() as session:
        # another look may have come meanwhile: what was said of a later one stays
        again = service.found(session, tenant, run_id)
        if again.ruling is None or again.ruling["step"] < said[-1].step:
            repository.write(
                session,
                run_id,
                ruling=said[-1].model_dump(mode="json"),
                announced=again.announced or next(iter(announced), None),
            )


def _rule(database: Database, tenant: str, asked: StopRule, forecast: Forecast) -> Rule:
    """Learn the threshold from what the law that speaks knows."""
    with database.read() as session:
        fit = fits.get(session, tenant, forecast.fit_id) if forecast.fit_id is not None else None
        found = rule_for(session, fit, forecast.min_gain, asked.resolved)
    return Rule(**found.model_dump(exclude={"min_gain"}))


def pilot(database: Database, tenant: str, run_id: str, settings: Settings) -> Difference | None:
    """Return where a run would have ended as its looks alone show it; None without a look.

    Raises:
        NotFound: this tenant has none of this id.
    """
    forecast = _forecast(database, _read(database, tenant, run_id), settings)
    return forecast.now.without_law if forecast is not None else None


def _read(database: Database, tenant: str, run_id: str) -> ExternalRun:
    with database.read() as session:
        return service.found(session, tenant, run_id)


def _forecast(database: Database, row: ExternalRun, settings: Settings) -> Forecast | None:
    if not row.looks:
        return None
    request = service.request_of(row)
    fields = {name: getattr(request, name) for name in request.model_fields_set & set(RunElsewhere.model_fields)}
    with database.read() as session:
        if request.pool is not None and observations.pool(session, row.tenant, request.pool) is None:
            del fields["pool"]  # this run will be its first: until then the usual pool speaks
    if request.stop is not None and request.stop.min_gain is not None:
        fields["min_gain"] = request.stop.min_gain
    asked = ForecastRequest(**fields, looks=service.looks_of(row))
    return of_request(database, row.tenant, asked, settings, row.id, row.observation_id)
