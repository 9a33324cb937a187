"""Events as the API shows them."""

from typing import Any, Literal

from pydantic import BaseModel


class EventOut(BaseModel):
    """One thing that happened."""

    id: str
    object: Literal["event"] = "event"
    type: str
    data: dict[str, Any]
    created_at: str


class EventPage(BaseModel):
    """A page of events, oldest first."""

    object: Literal["list"] = "list"
    data: list[EventOut]
    first_id: str | None
    last_id: str | None
    has_more: bool
