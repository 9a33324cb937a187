"""GET /v1/events: what happened, across all resources."""

from typing import Annotated

from fastapi import APIRouter, Query

from gapcast.contract.events import EventPage
from service.dependencies import AppState, Tenant
from service.events.stream import Subject, event_page

router = APIRouter(prefix="/events", tags=["events"])


@router.get("")
def list_events(
    state: AppState,
    tenant: Tenant,
    kind: Annotated[str | None, Query(alias="type", max_length=64, description="such as `fit.drift`")] = None,
    subject: Annotated[str | None, Query(max_length=64, description="the id of a fit, prediction, job, ...")] = None,
    after: str | None = None,
    limit: int = 100,
) -> EventPage:
    """List events, oldest first."""
    subjects = [subject] if subject is not None else None
    return event_page(state.database, Subject(tenant, subjects, ended=False), after, limit, kind)
