"""Training runs: the contract's classes under the client's names."""

from gapcast.contract.training_results import Artifact, BestStep, Evaluation, Predicted
from gapcast.contract.training_results import CheckpointOut as Checkpoint
from gapcast.contract.training_results import CheckpointRef as LastCheckpoint
from gapcast.contract.training_results import HeldOutImprovement as HeldOut
from gapcast.contract.training_results import MeasuredImprovement as Gained
from gapcast.contract.training_results import PredictedInterval as Outlook
from gapcast.contract.training_results import RunCost as TrainingCost
from gapcast.contract.training_results import RunProgress as TrainingProgress
from gapcast.contract.training_results import TrainingRunOut as TrainingRun

__all__ = [
    "Artifact",
    "BestStep",
    "Checkpoint",
    "Evaluation",
    "Gained",
    "HeldOut",
    "LastCheckpoint",
    "Outlook",
    "Predicted",
    "TrainingCost",
    "TrainingProgress",
    "TrainingRun",
]
