"""An event as the API shows it."""

from typing import Any, Literal

from pydantic import BaseModel

from service.events.models import Event
from service.kit.clock import rfc3339


class EventOut(BaseModel):
    """One thing that happened."""

    id: str
    object: Literal["event"] = "event"
    type: str
    data: dict[str, Any]
    created_at: str


def event_out(event: Event) -> EventOut:
    """Show a stored event."""
    return EventOut(id=str(event.id), type=event.type, data=event.data, created_at=rfc3339(event.created_at))
