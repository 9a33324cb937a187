"""Gapcast: what an On-Policy Self-Distillation run will gain, before it is paid for."""

from gapcast._version import __version__
from gapcast.client import Client, GapcastError
from gapcast.models import Batch, Event, Fit, Observation, Prediction, ProbeSize

__all__ = [
    "Batch",
    "Client",
    "Event",
    "Fit",
    "GapcastError",
    "Observation",
    "Prediction",
    "ProbeSize",
    "__version__",
]
