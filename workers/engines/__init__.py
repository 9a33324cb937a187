"""Rollout engines."""

from workers.engines.folder import checked_folder, folder_revision, model_folder
from workers.engines.protocol import Engine, Sample, Sampling

__all__ = ["Engine", "Sample", "Sampling", "checked_folder", "folder_revision", "model_folder"]
