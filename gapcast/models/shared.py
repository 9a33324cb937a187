"""What the answers of the API have in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from gapcast.contract.base import TERMINAL
from gapcast.contract.probes import Difference as Estimate

__all__ = ["TERMINAL", "Answered", "Estimate", "Event", "Warned"]


class Answered(BaseModel):
    """An object of the API."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Warned(Answered):
    """Something to know before trusting the number."""

    code: str
    message: str


class Event(Answered):
    """One thing that happened to a prediction or a probe."""

    id: str
    type: str
    data: dict[str, Any]
    created_at: str
