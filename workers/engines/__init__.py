"""Rollout engines."""

from workers.engines.folder import checked_folder, folder_revision, model_folder
from workers.engines.protocol import Engine, Prompt, Request, Sample, Sampling

__all__ = ["Engine", "Prompt", "Request", "Sample", "Sampling", "checked_folder", "folder_revision", "model_folder"]
