"""The trainer."""

from workers.opsd.run import run_training

__all__ = ["run_training"]
