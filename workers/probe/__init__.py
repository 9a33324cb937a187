"""The gap measurement."""

from workers.probe.run import run_probe

__all__ = ["run_probe"]
