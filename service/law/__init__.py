"""The law: how much a run improves, given its initial gap (docs: LAW)."""

from service.law.diagnostics import Diagnostics, drift_log_bayes_factor
from service.law.estimator import GapLaw
from service.law.observations import Observations, Probe
from service.law.prediction import Caution, Code, Coefficients, Estimate, Line, Prediction, Status

__all__ = [
    "Caution",
    "Code",
    "Coefficients",
    "Diagnostics",
    "Estimate",
    "GapLaw",
    "Line",
    "Observations",
    "Prediction",
    "Probe",
    "Status",
    "drift_log_bayes_factor",
]
