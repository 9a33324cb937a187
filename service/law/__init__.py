"""The law: how much a run improves, given its initial gap (docs: LAW)."""

from service.law.contexts import Known
from service.law.diagnostics import Diagnostics
from service.law.drift import drift_log_bayes_factor
from service.law.estimator import GapLaw
from service.law.keys import Key
from service.law.observations import Observations, Probe
from service.law.prediction import (
    Branch,
    CarryOver,
    Caution,
    Code,
    Coefficients,
    ContextEffect,
    Estimate,
    Kind,
    Line,
    Prediction,
    Status,
)

__all__ = [
    "Branch",
    "CarryOver",
    "Caution",
    "Code",
    "Coefficients",
    "ContextEffect",
    "Diagnostics",
    "Estimate",
    "GapLaw",
    "Key",
    "Kind",
    "Known",
    "Line",
    "Observations",
    "Prediction",
    "Probe",
    "Status",
    "drift_log_bayes_factor",
]
