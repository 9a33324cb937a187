"""GET /v1/events: what happened, across all resources."""

from typing import Annotated

from fastapi import APIRouter, Query

from gapcast.contract.events import EventPage
from gapcast.contract.lists import EventQuery
from service.dependencies import AppState, Tenant
from service.events.stream import Subject, event_page
from service.kit.errors import InvalidRequest
from service.kit.problems import problems

router = APIRouter(prefix="/events", tags=["events"])


@router.get("", responses=problems(InvalidRequest))
def list_events(state: AppState, tenant: Tenant, wanted: Annotated[EventQuery, Query()]) -> EventPage:
    """List events, oldest first."""
    subject = Subject(tenant, [wanted.subject] if wanted.subject is not None else None, ended=False)
    return event_page(state.database, subject, wanted.after, wanted.limit, wanted.type)
