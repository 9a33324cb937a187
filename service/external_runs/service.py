"""External runs: begin, append looks, end; `living` forecasts them."""

from collections.abc import Sequence
from itertools import takewhile

from sqlalchemy.orm import Session

from gapcast.contract.base import FieldError
from gapcast.contract.external_runs import ExternalRunRequest, RunEnd
from gapcast.contract.forecasts import GivenLook
from gapcast.contract.lists import ExternalRunQuery
from gapcast.contract.observations import MOST_LOOKS
from gapcast.contract.probes import Difference
from service.catalog import service as catalog
from service.external_runs import repository
from service.external_runs.models import RUNNING, ExternalRun
from service.external_runs.outcomes import row_of
from service.forecasts.elsewhere import describe
from service.kit.errors import Conflict, InvalidRequest, NotFound
from service.kit.idempotency import Idempotency, claim_key, keep_subject
from service.kit.ids import new_id
from service.observations import service as observations
from service.settings import Settings


def create(
    session: Session,
    tenant: str,
    request: ExternalRunRequest,
    settings: Settings,
    idempotency: Idempotency | None = None,
) -> tuple[str, bool]:
    """Store a run, or find the one that was stored under its external id; returns its id, and True if it is new.

    Raises:
        NotFound: there is no such prediction.
        InvalidRequest: the parts do not fit each other.
        Conflict: another run has this external id.
    """
    described = describe(session, tenant, request, settings)
    run_id = new_id("ext")
    if idempotency is not None:
        first = claim_key(session, tenant, *idempotency, run_id)
        if first != run_id:
            return first, False
    sent = request.model_dump(mode="json", exclude_unset=True)
    values = {
        "id": run_id,
        "tenant": tenant,
        "name": request.name,
        "tags": request.tags,
        "external_id": request.external_id,
        "prediction_id": request.prediction_id,
        "request": sent,
        "model": described.asked.model,
        "task": described.asked.task,
        "steps": described.steps,
        "pool": catalog.own_pool(described.request.pool),
    }
    if repository.add(session, values):
        return run_id, True
    known = repository.named(session, tenant, request.external_id or "")
    if known is None:
        raise RuntimeError(f"{request.external_id} is neither new nor stored")
    if known.request != sent:
        names = sorted(name for name in {*sent, *known.request} if sent.get(name) != known.request.get(name))
        raise Conflict(
            f"external_id: {request.external_id!r} is {known.id}, which was begun with another {', '.join(names)}. "
            "Send what it was begun with, or another external_id.",
            param="external_id",
            value=request.external_id,
        )
    if idempotency is not None:
        keep_subject(session, tenant, idempotency.key, known.id)
    return known.id, False


def append(session: Session, tenant: str, run_id: str, looks: Sequence[GivenLook]) -> None:
    """Append looks to a run; those that are stored already with the same value change nothing.

    Raises:
        NotFound: there is no such run.
        Conflict: it has ended, or a step is stored with another value.
        InvalidRequest: a look is out of order, beyond the last step, or on other problems.
    """
    row = _locked(session, tenant, run_id)
    request, stored = request_of(row), looks_of(row)
    known = {look.step: look for look in stored}
    again = list(takewhile(lambda look: look.step in known, looks))
    for index, look in enumerate(again):
        _require_same(index, known[look.step], look, row)
    new = looks[len(again) :]
    if not new:
        return
    if row.status != RUNNING:
        raise Conflict(f"{row.id} has ended ({row.status}) and takes no more looks. Start another run.")
    try:
        request.check_looks(new, stored, len(again))
        request.check_steps(new, row.steps, len(again))
    except FieldError as fault:
        raise InvalidRequest(f"{fault.param}: {fault.message}", param=fault.param, value=fault.value) from None
    if len(stored) + len(new) > MOST_LOOKS:
        raise InvalidRequest(
            f"looks: expected at most {MOST_LOOKS} of one run, got {len(stored) + len(new)}. Report fewer of them.",
            param="looks",
        )
    written = [look.model_dump(mode="json", exclude_none=True) for look in new]
    repository.write(session, row.id, looks=[*row.looks, *written])


def _require_same(index: int, stored: GivenLook, sent: GivenLook, row: ExternalRun) -> None:
    for name in ("value", "se"):
        was, now = getattr(stored, name), getattr(sent, name)
        if now is not None and was != now:
            raise Conflict(
                f"looks.{index}.{name}: expected {was}, which is stored for step {sent.step} of {row.id}, got {now}. "
                "Looks never change: leave this one out, or start another run.",
                param=f"looks.{index}.{name}",
                value=now,
            )


def end(
    session: Session, tenant: str, run_id: str, asked: RunEnd, pilot: Difference | None, settings: Settings
) -> None:
    """End a run and store it as an observation; `pilot` is the estimate of its looks, of a run that was stopped.

    Raises:
        NotFound: there is no such run.
        Conflict: it has ended, or has not come to its last step.
        ObservationConflict: its external id is that of another observation.
        InvalidRequest: an observation needs more than is known of it.
    """
    row = _locked(session, tenant, run_id)
    _require_running(row)
    request = request_of(row)
    described = describe(session, tenant, request, settings)
    observation = row_of(row, request, looks_of(row), described, asked, pilot, settings)
    try:
        batch = observations.store(session, tenant, observations.check([observation]))
    except InvalidRequest as error:
        # the caller sent an end and no table: `observations.0.gap: row 1: ...` is their `gap`
        error.detail = error.detail.replace("observations.0.", "").replace("row 1: ", "")
        for fault in error.errors:
            fault.param = fault.param.removeprefix("observations.0.")
            fault.message = fault.message.removeprefix("row 1: ")
        error.param = error.errors[0].param if error.errors else None
        raise
    repository.end(session, row.id, "stopped" if asked.stopped else "succeeded", batch.ids[0])


def cancel(session: Session, tenant: str, run_id: str) -> None:
    """End a run without an observation.

    Raises:
        NotFound: there is no such run.
        Conflict: it has ended.
    """
    row = _locked(session, tenant, run_id)
    _require_running(row)
    repository.end(session, row.id, "cancelled")


def remove(session: Session, tenant: str, run_id: str) -> None:
    """Remove a run and its looks; its observation stays.

    Raises:
        NotFound: there is no such run.
        Conflict: it has not ended.
    """
    row = _locked(session, tenant, run_id)
    if row.status == RUNNING:
        raise Conflict(f"{row.id} has not ended. End or cancel it first.")
    repository.remove(session, row.id)


def found(session: Session, tenant: str, run_id: str) -> ExternalRun:
    """Read one.

    Raises:
        NotFound: this tenant has none of this id.
    """
    row = repository.get(session, tenant, run_id)
    if row is None:
        raise _missing(run_id)
    return row


def page(session: Session, tenant: str, wanted: ExternalRunQuery) -> Sequence[ExternalRun]:
    """Read one page, with one more than its limit."""
    return repository.page(session, tenant, wanted)


def request_of(row: ExternalRun) -> ExternalRunRequest:
    """Return what a run was begun with."""
    return ExternalRunRequest.model_validate(row.request)


def looks_of(row: ExternalRun) -> list[GivenLook]:
    """Return the looks so far, in order of step."""
    return [GivenLook.model_validate(look) for look in row.looks]


def _locked(session: Session, tenant: str, run_id: str) -> ExternalRun:
    row = repository.get(session, tenant, run_id, lock=True)
    if row is None:
        raise _missing(run_id)
    return row


def _require_running(row: ExternalRun) -> None:
    if row.status != RUNNING:
        raise Conflict(f"{row.id} has ended already ({row.status}). What has ended never changes.")


def _missing(run_id: str) -> NotFound:
    return NotFound(f"There is no external run {run_id[:80]!r}. GET /v1/external_runs lists them.")
