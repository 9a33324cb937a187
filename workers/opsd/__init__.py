"""The trainer."""

from service.catalog.training import TrainingConfiguration
from workers.opsd.run import run_training

__all__ = ["TrainingConfiguration", "run_training"]
