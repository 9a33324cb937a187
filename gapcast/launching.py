"""The start of every process of ours: what lies in the current folder never runs in place of the product."""

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import NoReturn


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs an installed module, as `python -m` does but never one of the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


def safe_environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return `base` such that no Python which inherits it imports from the current folder.

    `PYTHONSAFEPATH` is `-P` for the processes that a process of ours starts by itself: torchrun's ranks, uvicorn's
    workers, vLLM's engine. An empty or relative entry of `PYTHONPATH` depends on the current folder, so it is dropped.
    """
    entries = filter(os.path.isabs, base.get("PYTHONPATH", "").split(os.pathsep))
    return {**base, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(entries)}


def has_worker_extra() -> bool:
    """Return True if what a worker needs beside the base install is there."""
    return find_spec("torch") is not None and find_spec("transformers") is not None


def become(module: str, *arguments: str, settings: Mapping[str, str | None] | None = None) -> NoReturn:
    """Replace this process by one that runs a module, with the given settings on top of the environment."""
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    command = module_command(module, *arguments)
    os.execve(command[0], command, safe_environment(os.environ | given))  # noqa: S606
