"""The page of the law: a pool's versions, and the figures of one of them, each with its table and its data."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from gapcast import words
from gapcast.contract.lists import FitQuery
from gapcast.contract.recipes import Divergence, Teacher
from service.dependencies import AppState, Tenant
from service.fits import service as fits
from service.fits.analysis import Whose
from service.fits.models import Fit
from service.fits.service import Current
from service.kit.clock import rfc3339
from service.kit.errors import GapcastError, InvalidRequest, NotFound
from service.observations import service as observations
from service.web.data import read_version
from service.web.figures import MOST_ROWS
from service.web.law_figures import SECTIONS, Asked
from service.web.recipes import FamilyRecipe, key_words
from service.web.rendering import PAGE_HEADERS, page, typeset
from service.web.summary import alarms, law_message

router = APIRouter(include_in_schema=False)
Name = Annotated[str, Query(min_length=1, max_length=255)]
TEACHERS, DIVERGENCES = ({None, *get_args(kind)} for kind in (Teacher, Divergence))
MOST_VERSIONS = 100
"""the newest, between which the slider moves"""


def _version(session: Session, tenant: str, pool: str | None, fit_id: str) -> Current:
    """Read one version of a pool's law, or of any pool's.

    Raises:
        NotFound: there is no such version of this pool.
        OldFit: another version of Gapcast wrote it.
    """
    found = fits.fixed(session, tenant, fit_id)
    if pool is not None and found.fit.pool != pool:
        raise NotFound(f"fit: {fit_id[:80]} is a version of pool {found.fit.pool}, not of {pool[:80]}.")
    return found


def _whose(law: str | None) -> Whose | None:
    """Read whose line an address asks for: a family and perhaps its recipe, as `FamilyRecipe.query` writes it.

    Raises:
        InvalidRequest: it is not written so.
    """
    if not law:
        return None
    given = dict(parse_qsl(law))
    teacher, divergence = given.get("teacher"), given.get("divergence")
    if "family" not in given or teacher not in TEACHERS or divergence not in DIVERGENCES:
        raise InvalidRequest(
            f"law: expected a law of this page, got {law[:80]!r}. Choose one of the list.", param="law"
        )
    return Whose.named(given["family"], teacher, divergence)


@router.get("/law")
def show_law(
    request: Request,
    tenant: Tenant,
    state: AppState,
    pool: Name | None = None,
    fit: Name | None = None,
    law: str | None = None,
) -> Response:
    """Show a version of a pool's law, of which a fit says the pool; its figures are read when the page is there."""
    context: dict[str, Any] = {"pool": pool or "lab", "sections": {}, "refused": "", "laws": [], "versions": []}
    with state.database.read() as session:
        context["pools"] = [row.name for row in observations.pools(session, tenant)]
        try:
            _whose(law)
            if fit is None:
                found = fits.newest(session, tenant, context["pool"])
            else:
                found = _version(session, tenant, pool, fit)
            if found is None:
                state.refitter.wake()
            else:
                versions = fits.page(session, tenant, FitQuery(pool=pool, limit=MOST_VERSIONS))[:MOST_VERSIONS]
                context |= _frame(found, fit, law, versions)
        except GapcastError as error:
            return page(request, "law.html", "/law", context | {"refused": error.detail}, error.status)
    return page(request, "law.html", "/law", context)


def _frame(found: Current, fit: str | None, law: str | None, versions: Sequence[Fit]) -> dict[str, Any]:
    """Return what stands around the figures."""
    pool, places = found.fit.pool, [one.id for one in versions[::-1]]
    asked = {"pool": pool, "fit": found.fit.id} | ({"law": law} if law else {})
    recipes = sorted(found.law.recipes_.items(), key=lambda one: (-one[1], one[0]))
    return {
        "pool": pool,
        "fit": found.fit,
        "law": law or "",
        "laws": [(FamilyRecipe(*of).query, f"{of[0]}, {key_words(of[1])} ({n:,})") for of, n in recipes],
        "versions": [
            {
                "address": f"/law?{urlencode(asked | {'fit': one.id})}",
                "text": f"{words.when(rfc3339(one.created_at))} UTC, {words.count(one.n, 'observation')}",
            }
            for one in versions[::-1]
        ],
        "place": places.index(found.fit.id) if found.fit.id in places else None,
        "is_newest": fit is None,
        "newest": f"/law?{urlencode({'pool': pool} | ({'law': law} if law else {}))}",
        "query": urlencode(asked),
        "sections": SECTIONS,
    }


@router.get("/law/about")
def about_law(
    request: Request, tenant: Tenant, state: AppState, pool: Name, fit: Name, law: str | None = None
) -> Response:
    """Say what a version of the law rests on, and what is wrong with it."""
    with state.database.read() as session:
        current = _version(session, tenant, pool, fit)
        newest = fits.newest(session, tenant, pool)
        behind = newest.behind if newest is not None and newest.fit.id == fit else 0
        found = read_version(session, current._replace(behind=behind), _whose(law))
    curve = found.curve
    marked = Counter(one.mark for one in found.observations)
    context = {
        "message": law_message(pool, found),
        "alarms": alarms(found.fit),
        "outliers": marked["outlier"],
        "excluded": marked["excluded"],
        "name": f"{curve.law.family}, {key_words(curve.law.key)}" if curve is not None else "",
        "level": words.level(curve.level) if curve is not None else "",
    }
    return page(request, "law_about.html", "/law", context)


@router.get("/law/{name}.{form}")
def show_figure(
    request: Request,
    tenant: Tenant,
    state: AppState,
    name: Annotated[str, Path()],
    form: Annotated[Literal["json", "csv", "html"], Path()],
    pool: Name,
    fit: Name,
    law: str | None = None,
) -> Response:
    """Answer with one figure: its plot, its data or its table."""
    section = SECTIONS.get(name)
    if section is None:
        raise NotFound(f"There is no figure {name[:80]!r}.")
    with state.database.read() as session:
        asked = Asked(
            session=session,
            current=_version(session, tenant, pool, fit),
            wanted=_whose(law),
            entries=state.settings.models,
        )
        figure = section.read(asked)
    if form == "json":
        return JSONResponse({"spec": figure.spec, "note": typeset(figure.note)}, headers=PAGE_HEADERS)
    if form == "html":
        return page(request, "figure_table.html", "/law", {"figure": figure, "most": MOST_ROWS, "title": section.title})
    file = f'attachment; filename="{name}-{pool}-{fit[-8:]}.csv"'
    headers = PAGE_HEADERS | {"Content-Disposition": file}
    return Response(figure.csv, media_type="text/csv", headers=headers)
