"""Small training runs of the lab's smaller model, and what they told."""

from dataclasses import dataclass, field
from typing import Any

from service.catalog.contexts import TEMPLATE_VERSION, Context
from service.catalog.schemas import Decoding, Recipe
from service.catalog.training import TrainingConfiguration, TrainingOptions
from workers.engines import folder_revision, model_folder
from workers.tasks import Task

MODEL = "lab/addition-qwen3-s"
SMALL = {"steps": 6, "problems_per_step": 4, "group_size": 2, "learning_rate": 1e-3}


def configuration_of(
    task: Task,
    context: dict[str, Any] | None = None,
    recipe: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    **changes: Any,
) -> TrainingConfiguration:
    """A small run; anything can be changed."""
    fields: dict[str, Any] = {
        "model": MODEL,
        "model_revision": folder_revision(model_folder(MODEL)),
        "task": task.name,
        "task_revision": task.revision,
        "context": Context.model_validate(context or {"kind": "reference_solution"}),
        "template_version": TEMPLATE_VERSION,
        "recipe": Recipe(**{**SMALL, **(recipe or {})}),
        "decoding": Decoding(),
        "problems": 8,
        "rollouts": 2,
        "held_out_problems": 4,
        "options": TrainingOptions(**(options or {})),
    }
    return TrainingConfiguration(**{**fields, **changes})


@dataclass
class Told:
    """A finished run: its result and what it said on the way."""

    result: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def of(self, name: str) -> list[dict[str, Any]]:
        return [data for told, data in self.events if told == name]


def told_of(result: dict[str, Any]) -> dict[str, Any]:
    """What of a result may not depend on how often the run was stopped."""
    return {name: value for name, value in result.items() if name not in {"cost", "artifact"}}
