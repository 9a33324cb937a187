"""The engine that a probe or a run asks for."""

import importlib.util

from gapcast.contract.measured import EngineName, ModelOptions
from workers.engines.folder import checked_folder
from workers.engines.protocol import Engine
from workers.engines.source import ModelSource
from workers.failures import JobError


def load_engine(name: EngineName, source: ModelSource, revision: str, options: ModelOptions) -> Engine:
    """Loads a model.

    `auto` is vLLM where there is a GPU and vLLM is installed, else transformers; a model with a url is always asked
    of its server.

    Raises:
        JobError: the model cannot be loaded here.
    """
    # each engine is imported where it is used: torch and vllm take seconds to start and need not be installed
    if source.url is not None:
        from workers.engines.server import ServerEngine

        return ServerEngine.connect(source, options)
    if name == "vllm-server":
        raise JobError(
            "engine_not_available",
            f"Model {source.name!r} is a folder, not a server: give it a url, or ask for another engine.",
            "probe.engine",
        )
    folder = checked_folder(source, revision)
    if uses_vllm(name):
        from workers.engines.vllm import VllmEngine

        return VllmEngine.load(folder, options)
    from workers.engines.transformers import TransformersEngine

    return TransformersEngine.load(folder, options)


def uses_vllm(name: EngineName) -> bool:
    """Whether this name means vLLM in this process, on this machine."""
    return name == "vllm" or (name == "auto" and _has_vllm() and _has_gpu())


def _has_vllm() -> bool:
    return importlib.util.find_spec("vllm") is not None


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
