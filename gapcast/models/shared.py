"""What the answers of the API have in common."""

from pydantic import BaseModel, ConfigDict

from gapcast.contract.base import TERMINAL, Warned
from gapcast.contract.events import EventOut as Event
from gapcast.contract.probes import Difference as Estimate

__all__ = ["TERMINAL", "Answered", "Estimate", "Event", "Warned"]


class Answered(BaseModel):
    """An object of the API."""

    model_config = ConfigDict(extra="allow", frozen=True)
