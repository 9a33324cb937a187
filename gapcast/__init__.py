"""Gapcast: what an On-Policy Self-Distillation run will gain, before it is paid for.

Names are loaded when they are asked for (PEP 562): who needs the contract alone, such as a job's child, loads no HTTP
client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gapcast._version import __version__

if TYPE_CHECKING:
    from gapcast.client import (
        AnswerLost,
        AsyncClient,
        Client,
        Conflict,
        GapcastError,
        InvalidRequest,
        NotFound,
        NotGapcast,
        RateLimited,
        ServerFault,
        Unauthorized,
        Unreachable,
    )
    from gapcast.models import (
        Batch,
        Checkpoint,
        Comparison,
        ContextKind,
        Event,
        ExternalRun,
        Fit,
        Model,
        Observation,
        Pool,
        Prediction,
        Probe,
        ProbeSize,
        Recommendation,
        Sample,
        Task,
        TrainingRun,
    )

CLIENT = (
    *("AsyncClient", "Client"),
    *("AnswerLost", "Conflict", "GapcastError", "InvalidRequest", "NotFound", "NotGapcast", "RateLimited"),
    *("ServerFault", "Unauthorized", "Unreachable"),
)
"""names that `gapcast.client` hands out; the others are those of `gapcast.models`"""

__all__ = [
    "AnswerLost",
    "AsyncClient",
    "Batch",
    "Checkpoint",
    "Client",
    "Comparison",
    "Conflict",
    "ContextKind",
    "Event",
    "ExternalRun",
    "Fit",
    "GapcastError",
    "InvalidRequest",
    "Model",
    "NotFound",
    "NotGapcast",
    "Observation",
    "Pool",
    "Prediction",
    "Probe",
    "ProbeSize",
    "RateLimited",
    "Recommendation",
    "Sample",
    "ServerFault",
    "Task",
    "TrainingRun",
    "Unauthorized",
    "Unreachable",
    "__version__",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("gapcast.client" if name in CLIENT else "gapcast.models"), name)
