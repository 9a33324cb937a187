"""Gapcast: what an On-Policy Self-Distillation run will gain, before it is paid for.

Names are loaded when they are asked for (PEP 562): who needs the contract alone, such as a job's child, loads no HTTP
client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gapcast._version import __version__

if TYPE_CHECKING:
    from gapcast.client import Client, GapcastError
    from gapcast.models import (
        Batch,
        Checkpoint,
        ContextKind,
        Event,
        Fit,
        Model,
        Observation,
        Pool,
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
    "Pool",
    "Prediction",
    "Probe",
    "ProbeSize",
    "Task",
    "TrainingRun",
    "__version__",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("gapcast.client" if name in {"Client", "GapcastError"} else "gapcast.models"), name)
