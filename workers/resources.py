"""What the supervisor hands a child besides its configuration: where things are on this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.engines import ModelSource


@dataclass(frozen=True)
class Resources:
    """Places on this machine."""

    source: ModelSource
    """Where the model is."""
    task_folder: Path | None = None
    """Where the task's files are; null for a bundled task."""
    rollouts: Path | None = None
    """The file that remembers rollouts; null: nothing is remembered."""

    @classmethod
    def read(cls, model: str, content: dict[str, Any]) -> "Resources":
        """From the supervisor's message; a model that it knows nothing of is one of the lab's."""
        source = dict(content.get("source") or {"name": model})
        if source.get("path"):
            source["path"] = Path(source["path"])
        folder, rollouts = content.get("task_folder"), content.get("rollouts")
        return cls(ModelSource(**source), Path(folder) if folder else None, Path(rollouts) if rollouts else None)
