"""What the API answers, as typed objects: the contract's classes under the client's names."""

from gapcast.contract.catalog import ContextKindOut as ContextKind
from gapcast.contract.catalog import Model, Task
from gapcast.contract.catalog import ProblemOut as TaskProblem
from gapcast.contract.fits import (
    AtGap,
    Calibration,
    Coefficients,
    CurrentFit,
    Curve,
    Curved,
    Drift,
    FamilyScaling,
    FitSummary,
    Group,
    Homogeneity,
    LevelCalibration,
    LinkWeights,
    OfRecipe,
    Outcome,
    Residual,
    Residuals,
    Scaling,
    SizeSlope,
    Trend,
)
from gapcast.contract.fits import FitOut as Fit
from gapcast.contract.observations import BatchOut as Batch
from gapcast.contract.observations import Measured
from gapcast.contract.observations import ObservationOut as Observation
from gapcast.contract.observations import PoolOut as Pool
from gapcast.contract.observations import RowWarning as RowWarned
from gapcast.contract.predictions import LawUsed as Law
from gapcast.contract.sizing import ExpectedOut as Expected
from gapcast.contract.sizing import SizeOut as ProbeSize
from gapcast.contract.sizing import Variation
from gapcast.models.predictions import Branch, Cost, Improvement, Interval, Prediction
from gapcast.models.probes import (
    Arm,
    Controls,
    Covariates,
    Gap,
    Leak,
    LogRatio,
    Probe,
    ProbeCost,
    ProbeFigures,
    ProbeResult,
)
from gapcast.models.shared import TERMINAL, Estimate, Event, Warned
from gapcast.models.training import (
    Artifact,
    BestStep,
    Checkpoint,
    Evaluation,
    Gained,
    HeldOut,
    LastCheckpoint,
    Outlook,
    Predicted,
    TrainingCost,
    TrainingProgress,
    TrainingRun,
)

__all__ = [
    "TERMINAL",
    "Arm",
    "Artifact",
    "AtGap",
    "Batch",
    "BestStep",
    "Branch",
    "Calibration",
    "Checkpoint",
    "Coefficients",
    "ContextKind",
    "Controls",
    "Cost",
    "Covariates",
    "CurrentFit",
    "Curve",
    "Curved",
    "Drift",
    "Estimate",
    "Evaluation",
    "Event",
    "Expected",
    "FamilyScaling",
    "Fit",
    "FitSummary",
    "Gained",
    "Gap",
    "Group",
    "HeldOut",
    "Homogeneity",
    "Improvement",
    "Interval",
    "LastCheckpoint",
    "Law",
    "Leak",
    "LevelCalibration",
    "LinkWeights",
    "LogRatio",
    "Measured",
    "Model",
    "Observation",
    "OfRecipe",
    "Outcome",
    "Outlook",
    "Pool",
    "Predicted",
    "Prediction",
    "Probe",
    "ProbeCost",
    "ProbeFigures",
    "ProbeResult",
    "ProbeSize",
    "Residual",
    "Residuals",
    "RowWarned",
    "Scaling",
    "SizeSlope",
    "Task",
    "TaskProblem",
    "TrainingCost",
    "TrainingProgress",
    "TrainingRun",
    "Trend",
    "Variation",
    "Warned",
]
