"""Stored events as the API shows them."""

from gapcast.contract.events import EventOut
from service.events.models import Event
from service.kit.clock import rfc3339


def event_out(event: Event) -> EventOut:
    """Show a stored event."""
    return EventOut(id=str(event.id), type=event.type, data=event.data, created_at=rfc3339(event.created_at))
