"""Where a model is: what the operator's catalogue says of it."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ModelSource:
    """A folder of this machine, or a server; a lab model needs neither."""

    name: str
    path: Path | None = None
    url: str | None = None
    """Of an OpenAI-compatible server, up to `/v1`."""
    served_as: str | None = None
    """What the server calls the model; null: its name."""
    api_key: str | None = field(default=None, repr=False)
