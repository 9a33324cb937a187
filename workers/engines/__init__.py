"""Rollout engines."""

from workers.engines.folder import checked_folder, folder_revision, model_folder
from workers.engines.load import load_engine, uses_vllm
from workers.engines.protocol import Engine, Prompt, Request, Sample, Sampling
from workers.engines.source import ModelSource

__all__ = [
    "Engine",
    "ModelSource",
    "Prompt",
    "Request",
    "Sample",
    "Sampling",
    "checked_folder",
    "folder_revision",
    "load_engine",
    "model_folder",
    "uses_vllm",
]
