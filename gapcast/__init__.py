"""Gapcast: what an On-Policy Self-Distillation run will gain, before it is paid for."""

from gapcast._version import __version__
from gapcast.client import Client, GapcastError
from gapcast.models import (
    Batch,
    Checkpoint,
    ContextKind,
    Event,
    Fit,
    Model,
    Observation,
    Prediction,
    Probe,
    ProbeSize,
    Task,
    TrainingRun,
)

__all__ = [
    "Batch",
    "Checkpoint",
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
    "TrainingRun",
    "__version__",
]
