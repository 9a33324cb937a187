"""Gapcast: what an On-Policy Self-Distillation run will gain, before it is paid for."""

from gapcast._version import __version__
from gapcast.client import Client, GapcastError
from gapcast.models import Batch, ContextKind, Event, Fit, Model, Observation, Prediction, Probe, ProbeSize, Task

__all__ = [
    "Batch",
    "Client",
    "ContextKind",
    "Event",
    "Fit",
    "GapcastError",
    "Model",
    "Observation",
    "Prediction",
    "Probe",
    "ProbeSize",
    "Task",
    "__version__",
]
