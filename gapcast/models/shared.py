"""The parts that several answers of the API share."""

from gapcast.contract.base import TERMINAL, Warned
from gapcast.contract.events import EventOut as Event
from gapcast.contract.probes import Difference as Estimate

__all__ = ["TERMINAL", "Estimate", "Event", "Warned"]
