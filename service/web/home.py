"""The first page: the form, what is running, what was decided, and how past predictions turned out."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from gapcast import comparison_words, recommendation_words, words
from gapcast.contract import lists as queries
from gapcast.contract.comparisons import ComparisonOut
from service.catalog import service as catalog
from service.comparisons import service as comparisons
from service.dependencies import AppState, State, Tenant
from service.errors import UnknownPool
from service.fits import service as fits
from service.kit.errors import GapcastError
from service.kit.threads import in_writing_thread
from service.predictions import service as predictions
from service.predictions.calibration import calibration
from service.recommendations import service as recommendations
from service.settings import Settings
from service.tasks import service as tasks
from service.training_runs import service as training_runs
from service.web.asked_form import NO_FAULTS, Faults, body_of, faults_of, request_of
from service.web.data import LEVELS
from service.web.filled_form import Body, filled
from service.web.form import choices
from service.web.lists import COMPARISONS, EXTERNAL_RUNS, PREDICTIONS, PROBES, RECOMMENDATIONS, TRAINING_RUNS
from service.web.rendering import page
from service.web.run_facts import judgement
from service.web.sent import sent_fields
from service.web.tables import Table

router = APIRouter(include_in_schema=False)

Name = Annotated[str, Query(min_length=1, max_length=255)]
GOING_ON: tuple[tuple[Table[Any], tuple[str, ...]], ...] = (
    (TRAINING_RUNS, ("running", "paused", "queued")),
    *((table, ("running", "queued")) for table in (RECOMMENDATIONS, COMPARISONS, PREDICTIONS, PROBES)),
    (EXTERNAL_RUNS, ("running",)),
)
"""what can go on, and the states of it that have not ended"""
MOST_GOING_ON, MOST_DECIDED = 5, 8
"""of each kind and state; of all kinds"""
MOST_READ = 100
"""predictions, among which those that were asked for alone are looked for"""
POOLS = ("default", "lab")
"""whose calibration is told"""
OLD = {"prediction": PREDICTIONS, "run": TRAINING_RUNS, "comparison": COMPARISONS, "recommendation": RECOMMENDATIONS}
"""What an address of the one page of earlier versions has named; of several, the first is what it was about."""


class Going(NamedTuple):
    """Something that goes on."""

    kind: str
    name: str
    address: str
    state: str


class Decided(NamedTuple):
    """Something that has ended, and what it has come to."""

    kind: str
    name: str
    address: str
    said: str
    created_at: str


@router.get("/")
def home(request: Request, tenant: Tenant, state: AppState, pool: Name = "lab", like: Name | None = None) -> Response:
    """Show the first page, its form filled like a prediction; an address of earlier versions leads on to its page."""
    for name, table in OLD.items():
        one_id = request.query_params.get(name)
        if one_id:
            return RedirectResponse(f"/{table.path}/{quote(one_id, safe='')}", status_code=308)
    asked = None
    if like is not None:
        with state.database.read() as session:
            asked = predictions.found(session, tenant, like).request.model_dump(mode="json")
    return _shown(request, tenant, state, pool, asked)


@router.post("/")
async def ask(request: Request, tenant: Tenant, state: AppState) -> Response:
    """Ask what the form says, and lead to the prediction; if it is refused, show the form again, and why."""
    body = body_of(await sent_fields(request))

    def make() -> Response:
        try:
            asked = predictions.prepare(state.database, tenant, request_of(body), state.settings)
            with state.database.write() as session:
                made = predictions.create(session, tenant, asked, state.settings)
        except GapcastError as error:
            return _shown(request, tenant, state, "lab", body, faults_of(error, body), error.status)
        return RedirectResponse(f"/predictions/{quote(made.id)}", status_code=303)

    return await in_writing_thread(make)


def _shown(
    request: Request,
    tenant: str,
    state: State,
    pool: str,
    asked: Body | None,
    faults: Faults = NO_FAULTS,
    status: int = 200,
) -> Response:
    pool = (asked.get("pool") if asked is not None else None) or pool
    with state.database.read() as session:
        decided = sorted(_decided(session, tenant), key=lambda one: one.created_at, reverse=True)
        shown = {
            "going_on": list(_going_on(session, tenant, state.settings)),
            "decided": decided[:MOST_DECIDED],
            "calibration": list(_turned_out(session, tenant)),
            "faults": faults,
            **_law(session, tenant, state, pool),
        }
        known = tasks.tasks(session, tenant)
    offered = choices(catalog.models(state.settings.models), known, catalog.context_kinds())
    return page(request, "home.html", "/", filled(offered, pool, asked) | shown, status)


def _going_on(session: Session, tenant: str, settings: Settings) -> Iterator[Going]:
    for table, states in GOING_ON:
        for status in states:
            query = (table.query or queries.PageQuery).model_validate({"status": status, "limit": MOST_GOING_ON})
            for one in table.read(session, tenant, settings, query).items:
                row = table.row(one)
                said = words.sentence(words.STATES.get(status, status))
                yield Going(table.item, row.name, row.address, said)


def _decided(session: Session, tenant: str) -> Iterator[Decided]:
    ended: dict[str, Any] = {"status": "succeeded", "limit": MOST_DECIDED}
    compared = comparisons.page(session, tenant, queries.ComparisonQuery(**ended)).data
    of_comparisons = set(_made(compared))
    most = min(MOST_DECIDED + len(of_comparisons), MOST_READ)
    answered = predictions.page(session, tenant, queries.PredictionQuery(status="succeeded", limit=most)).data
    asked = [one for one in answered if one.id not in of_comparisons]
    yield from _said(PREDICTIONS, [(one, words.in_short(one)) for one in asked])
    yield from _said(COMPARISONS, [(one, _advised(comparison_words.advice(one))) for one in compared])
    planned = recommendations.page(session, tenant, queries.RecommendationQuery(**ended)).data
    yield from _said(RECOMMENDATIONS, [(one, f"{recommendation_words.advice(one).headline}.") for one in planned])
    trained = training_runs.page(session, tenant, queries.TrainingRunQuery(**ended)).data
    verdicts = [judgement(one) for one in trained]
    said = [(one, f"{verdict.headline}. {verdict.text}") for one, verdict in zip(trained, verdicts, strict=True)]
    yield from _said(TRAINING_RUNS, said)


def _made(compared: Sequence[ComparisonOut]) -> Iterator[str]:
    """Yield the ids of the predictions that comparisons have made."""
    for found in compared:
        yield from (one.prediction_id for one in found.configurations if one.prediction_id is not None)
        if found.winner is not None:
            yield found.winner.prediction_id


def _advised(advice: comparison_words.Advice) -> str:
    return f"{advice.headline}. {advice.reason}"


def _said(table: Table[Any], said: Sequence[tuple[Any, str]]) -> Iterator[Decided]:
    for one, text in said:
        row = table.row(one)
        yield Decided(table.item, row.name, row.address, text, row.created_at or "")


def _turned_out(session: Session, tenant: str) -> Iterator[tuple[str, str]]:
    """Yield each of the pools that has met outcomes of its predictions, and what is said of them."""
    for pool in POOLS:
        with suppress(UnknownPool):
            newest = fits.newest(session, tenant, pool)
            if newest is not None:
                found = calibration(session, newest.fit, LEVELS)
                if found.n:
                    yield pool, f"Pool {pool}: {words.calibration(pool, found)}"


def _law(session: Session, tenant: str, state: State, pool: str) -> dict[str, str]:
    """Return what the addresses of the pool's newest law ask for, or why there are none."""
    try:
        newest = fits.newest(session, tenant, pool)
    except GapcastError as error:
        return {"refused": error.detail}
    if newest is None:
        state.refitter.wake()
        return {}
    return {"law": urlencode({"pool": pool, "fit": newest.fit.id})}
