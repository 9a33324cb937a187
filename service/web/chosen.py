"""Predictions that are chosen from a list, side by side, and the comparison that is made of them."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from gapcast import words
from gapcast.contract.comparisons import ComparisonRequest
from gapcast.contract.lists import PredictionQuery
from gapcast.contract.predictions import Interval, PredictionOut
from gapcast.contract.varying import FEWEST, MOST
from service.comparisons import service as comparisons
from service.dependencies import AppState, State, Tenant
from service.kit.errors import GapcastError, InvalidRequest
from service.kit.problems import field_problems
from service.kit.threads import in_writing_thread
from service.predictions import service as predictions
from service.web.rendering import page
from service.web.scale import Bar, Scale
from service.web.sent import sent_fields, value_of

router = APIRouter(include_in_schema=False)


class Chosen(NamedTuple):
    """A prediction beside others: what only it is, what it says, and its narrowest interval as it is drawn."""

    prediction: PredictionOut
    name: str
    differs: Sequence[str]
    bar: Bar | None
    verdict: str


@router.get("/predictions/compare")
def compare(
    request: Request,
    tenant: Tenant,
    state: AppState,
    id: Annotated[list[str], Query()] = [],  # noqa: B006
) -> Response:
    """Show predictions side by side, the largest improvement first."""
    return _shown(request, tenant, state, id)


def _shown(
    request: Request, tenant: str, state: State, ids: Sequence[str], refused: str = "", status: int = 200
) -> Response:
    found: Sequence[PredictionOut] = []
    try:
        found = _read(tenant, state, ids)
    except GapcastError as error:
        refused, status = refused or error.detail, error.status
    ends = [end for one in found if (narrow := _narrowest(one)) is not None for end in (narrow.lower, narrow.upper)]
    scale = Scale(ends) if ends else None
    shared, heads, differing = _told_apart(found)
    rows = [
        Chosen(
            prediction=one,
            name=words.labels(one.name, one.tags) or words.short_id(one.id),
            differs=differs,
            bar=scale.bar(one.improvement.value, _narrowest(one)) if scale and one.improvement else None,
            verdict=words.verdict(one.verdict, one.request.min_gain).name if one.verdict else words.STATES[one.status],
        )
        for one, differs in zip(found, differing, strict=True)
    ]
    rows.sort(key=lambda row: -_value(row.prediction))
    context = {
        "rows": rows,
        "shared": shared,
        "heads": heads,
        "ids": ids,
        "zero": scale.place(0) if scale else None,
        "refused": refused,
        "back": f"/predictions?{urlencode([('id', one) for one in ids])}",
    }
    return page(request, "chosen.html", "/predictions", context, status)


def _read(tenant: str, state: State, ids: Sequence[str]) -> Sequence[PredictionOut]:
    if not FEWEST <= len(set(ids)) <= MOST:
        raise InvalidRequest(
            f"id: expected {FEWEST} to {MOST} predictions, got {len(set(ids))}. Choose them in the list.", param="id"
        )
    try:
        wanted = PredictionQuery(id=list(dict.fromkeys(ids)), limit=100)
    except ValidationError as error:
        raise InvalidRequest(" ".join(one.with_value for one in field_problems(error.errors()[:3]))) from None
    with state.database.read() as session:
        found = predictions.page(session, tenant, wanted).data
    missing = set(ids) - {one.id for one in found}
    if missing:
        raise InvalidRequest(f"id: expected predictions that exist, got {sorted(missing)[0][:80]!r}.", param="id")
    return found


def _narrowest(one: PredictionOut) -> Interval | None:
    found = one.improvement
    return min(found.intervals, key=lambda interval: interval.level) if found and found.intervals else None


def _value(one: PredictionOut) -> float:
    return one.improvement.value if one.improvement is not None and one.improvement.value is not None else -1.0


def _told_apart(
    found: Sequence[PredictionOut],
) -> tuple[list[tuple[str, str]], list[str], list[list[str]]]:
    """Return what all have in common, the names of what differs, and each one's own."""
    told = [_configuration(one) for one in found]
    names = list(told[0]) if told else []
    same = [name for name in names if len({one[name] for one in told}) == 1]
    other = [name for name in names if name not in same]
    return [(name, told[0][name]) for name in same], other, [[one[name] for name in other] for one in told]


def _configuration(one: PredictionOut) -> dict[str, str]:
    asked = one.request
    return {
        "Model": asked.model.name,
        "Task": asked.task,
        "Context": words.context(asked.context),
        "Recipe": words.run_recipe(asked.recipe.teacher, asked.recipe.divergence),
        "Steps": f"{asked.recipe.steps:,}",
        "Learning rate": f"{asked.recipe.rate:g}",
        "Pool": asked.pool or "",
        "Gap": words.measured(one.gap) if one.gap is not None else "",
    }


@router.post("/predictions/compare")
async def make_comparison(request: Request, tenant: Tenant, state: AppState) -> Response:
    """Make a comparison of predictions: by the probes that they have, or by new ones."""
    sent = await sent_fields(request)
    ids = sent.get("id", [])

    def make() -> Response:
        try:
            asked = _asked(_read(tenant, state, ids), is_stored=value_of(sent, "by") == "probes")
            contest = comparisons.prepare(state.database, tenant, asked, state.settings, None)
            with state.database.write() as session:
                made = comparisons.create(session, tenant, asked, contest, state.settings, None)
        except GapcastError as error:
            return _shown(request, tenant, state, ids, error.detail, error.status)
        return RedirectResponse(f"/comparisons/{made}", status_code=303)

    return await in_writing_thread(make)


def _asked(found: Sequence[PredictionOut], *, is_stored: bool) -> ComparisonRequest:
    configurations: list[dict[str, Any]] = []
    for one in found:
        body = one.request.model_dump(mode="json", exclude={"probe", "probe_id", "gap"})
        if is_stored and one.probe_id is None:
            raise InvalidRequest(f"id: {one.id} has no probe: its gap was given. Probe them together.", param="id")
        if is_stored:
            body["probe_id"] = one.probe_id
        elif one.request.probe is not None:
            body["probe"] = one.request.probe.model_dump(mode="json", exclude={"target_half_width"})
        configurations.append(body)
    try:
        return ComparisonRequest.model_validate({"configurations": configurations})
    except ValidationError as error:
        raise InvalidRequest(" ".join(one.with_value for one in field_problems(error.errors()[:3]))) from None
