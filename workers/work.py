"""What a child is given to do, whatever its kind."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from gapcast.contract.events import EventData

Emit = Callable[[EventData], None]
"""Takes what a child says while it goes."""


@dataclass(frozen=True)
class Work:
    """A job as its entry point gets it."""

    configuration: dict[str, Any]
    """The dump of a configuration of the contract."""
    resources: dict[str, Any]
    """What `Resources.read` takes."""
    emit: Emit
    stop: Callable[[], bool]
    """Whether it shall save its work and end; never where its kind does not stop gently."""
    write: Callable[[dict[str, Any]], None]
    """Passes on a line that another process of the job has written."""


def entry_point(entry: str) -> Callable[[Work], BaseModel | dict[str, Any]]:
    """Return the function that a kind of job names as `module:function`; only ours can be named.

    Raises:
        ValueError: it names no module of the workers.
    """
    module, _, name = entry.partition(":")
    if not module.startswith("workers."):
        raise ValueError(f"{entry!r} is not an entry point of the workers")
    found: Callable[[Work], BaseModel | dict[str, Any]] = getattr(import_module(module), name)
    return found
