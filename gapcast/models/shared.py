"""What the answers of the API have in common."""

from pydantic import BaseModel, ConfigDict

from gapcast.contract.base import Warned
from gapcast.contract.events import EventOut as Event

__all__ = ["TERMINAL", "Answered", "Estimate", "Event", "Warned"]

TERMINAL = frozenset({"succeeded", "failed", "cancelled", "dead"})


class Answered(BaseModel):
    """An object of the API."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Estimate(Answered):
    """A difference of accuracies as a share (0.1 = 10 accuracy points) and its standard error."""

    value: float
    se: float
