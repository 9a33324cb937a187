"""Probes: the contract's classes by the client's names."""

from gapcast.contract.probes import (
    Arm,
    Controls,
    Covariates,
    Gap,
    Leak,
    LogRatio,
    ProbeCost,
    ProbeFigures,
    ProbeResult,
)
from gapcast.contract.probes import ProbeOut as Probe

__all__ = [
    "Arm",
    "Controls",
    "Covariates",
    "Gap",
    "Leak",
    "LogRatio",
    "Probe",
    "ProbeCost",
    "ProbeFigures",
    "ProbeResult",
]
