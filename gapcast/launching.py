"""The start of every process of ours: what lies in the current folder never runs in place of the product."""

import os
import sys
from collections.abc import Mapping


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
