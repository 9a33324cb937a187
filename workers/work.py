"""What a child is given to do, whatever its kind."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from pydantic import BaseModel

from gapcast.contract.base import JsonObject
from gapcast.contract.events import Emit

Line = JsonObject
"""What a child writes: an `event` with its `data`, or one last `result`, `error`, `paused` or `crashed`."""


@dataclass(frozen=True)
class Work:
    """A job as its entry point gets it."""

    configuration: JsonObject
    """The dump of a configuration of the contract."""
    resources: JsonObject
    """What `Resources.read` takes."""
    emit: Emit
    stop: Callable[[], bool]
    """True if it is asked to save its work and end; never where its kind does not stop gently."""
    write: Callable[[Line], None]
    """Passes on a line that another process of the job has written."""


def entry_point(entry: str) -> Callable[[Work], BaseModel]:
    """Return the function that a kind of job names as `module:function`; only ours can be named.

    Raises:
        ValueError: it names no module of the workers.
    """
    module, _, name = entry.partition(":")
    if not module.startswith("workers."):
        raise ValueError(f"{entry!r} is not an entry point of the workers")
    found: Callable[[Work], BaseModel] = getattr(import_module(module), name)
    return found
