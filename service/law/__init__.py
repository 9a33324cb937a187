"""The law: how much a run improves, given its initial gap (docs: LAW)."""

from service.law.diagnostics import Diagnostics
from service.law.drift import drift_log_bayes_factor
from service.law.estimator import GapLaw
from service.law.keys import Key
from service.law.observations import Observations, Probe
from service.law.prediction import Branch, Caution, Code, Coefficients, Estimate, Kind, Line, Prediction, Status

__all__ = [
    "Branch",
    "Caution",
    "Code",
    "Coefficients",
    "Diagnostics",
    "Estimate",
    "GapLaw",
    "Key",
    "Kind",
    "Line",
    "Observations",
    "Prediction",
    "Probe",
    "Status",
    "drift_log_bayes_factor",
]
