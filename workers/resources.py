"""What the supervisor hands a child besides its configuration: where things are on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gapcast.contract.samples import SampleLimits
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
    samples: SampleLimits | None = None
    """How many of a probe's rollouts are kept to be read; null: none."""
    checkpoints: tuple[Path, ...] = ()
    """Of a training run: the folders of its checkpoints, newest first; they need not be there."""
    checkpoint_folder: Path | None = None
    """Where this attempt's go; null: none are written."""
    export_folder: Path | None = None
    """Where the trained model goes; null: nowhere."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """What the model's card says beside the run's own figures: `run_id` and what was `predicted`."""
    watch: Mapping[str, Any] | None = None
    """Of a training run: the law, the curves and the rule by which it is forecast at its looks."""
    memory_gb: float | None = None
    """GB of a GPU's memory that it may take; null: nobody counts it."""
    released: bool = False
    """True if somebody has resumed a training run that had put itself aside: it goes on to its end."""

    @classmethod
    def read(cls, model: str, content: dict[str, Any]) -> "Resources":
        """From the supervisor's message; a model that it knows nothing of is one of the lab's."""
        source = dict(content.get("source") or {"name": model})
        if source.get("path"):
            source["path"] = Path(source["path"])
        return cls(
            ModelSource(**source),
            **{
                name: _path(content.get(name))
                for name in ("task_folder", "rollouts", "checkpoint_folder", "export_folder")
            },
            samples=SampleLimits.model_validate(content["samples"]) if content.get("samples") else None,
            checkpoints=tuple(map(Path, content.get("checkpoints") or ())),
            card=content.get("card") or {},
            watch=content.get("watch"),
            memory_gb=content.get("memory_gb"),
            released=bool(content.get("released")),
        )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
