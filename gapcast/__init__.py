"""Gapcast: what an On-Policy Self-Distillation run will gain, before it is paid for."""

from gapcast._version import __version__
from gapcast.client import Client, GapcastError
from gapcast.models import Event, Prediction

__all__ = ["Client", "Event", "GapcastError", "Prediction", "__version__"]
