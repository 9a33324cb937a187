"""Small training runs of the lab's smaller model, and what they told."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gapcast.contract.contexts import TEMPLATE_VERSION, context_of
from gapcast.contract.events import (
    Data,
    EventData,
    TrainingCheckpoint,
    TrainingEvaluated,
    TrainingForecast,
    TrainingGap,
    TrainingMetrics,
    TrainingPartialMessage,
    TrainingProgress,
    TrainingResumed,
    TrainingStop,
    TrainingWarning,
)
from gapcast.contract.measured import Decoding
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingConfiguration, TrainingOptions
from gapcast.contract.training_results import TrainingResult
from workers.engines import folder_revision, model_folder
from workers.failures import Paused
from workers.opsd import run_training
from workers.ranks import run_on_ranks
from workers.resources import Resources
from workers.tasks import Task, load_task

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
        "context": context_of(context or {"kind": "reference_solution"}),
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
    """What a run said on its way, and its result once it has finished."""

    events: list[EventData] = field(default_factory=list)
    ended: TrainingResult | None = None

    @property
    def result(self) -> TrainingResult:
        assert self.ended is not None
        return self.ended

    def of(self, kind: type[Data]) -> list[Data]:
        return [event for event in self.events if isinstance(event, kind)]

    def read(self, line: dict[str, Any]) -> None:
        """Take a line that a run in several processes has written."""
        self.events.append(KINDS[line["event"]].model_validate(line["data"]))


KINDS: dict[str, type[EventData]] = {
    kind.type: kind
    for kind in (
        *(TrainingProgress, TrainingGap, TrainingMetrics, TrainingEvaluated),
        *(TrainingPartialMessage, TrainingCheckpoint, TrainingResumed, TrainingWarning),
        *(TrainingForecast, TrainingStop),
    )
}


def told_of(result: TrainingResult) -> dict[str, Any]:
    """What of a result may not depend on how often the run was stopped."""
    return result.model_dump(exclude={"cost", "artifact"})


def learn_in_two_parts(folder: Path, engine: str, recipe: dict[str, Any], processes: int = 1) -> Told:
    """A run that is paused on its way and resumed must learn; returns the second part."""
    configuration = configuration_of(
        load_task("lab/addition"),
        {"kind": "hints", "options": {"level": 3}},
        {"steps": 24, "problems_per_step": 16, "learning_rate": 2e-3, **recipe},
        {"evaluate_every": 24, "checkpoint_every": 8, "processes": processes},
        engine=engine,
        problems=32,
        rollouts=4,
    )
    places = Resources.read(MODEL, {})
    places = replace(places, checkpoint_folder=folder / "checkpoints", export_folder=folder / "model")
    first, rest = Told(), Told()

    def run(told: Told, places: Resources, stop: Callable[[], bool]) -> TrainingResult:
        if processes == 1:
            return run_training(configuration, places, told.events.append, stop)
        return run_on_ranks(configuration, places, told.read, stop)

    with pytest.raises(Paused):
        run(first, places, lambda: len(first.events) > 40)
    kept = tuple(Path(one.path) for one in reversed(first.of(TrainingCheckpoint)))
    rest.ended = run(rest, replace(places, checkpoints=kept), lambda: False)
    losses = [one.loss or 0.0 for one in first.of(TrainingMetrics) + rest.of(TrainingMetrics)]
    assert len(losses) == 24
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])
    assert rest.result.gap.value > 0.1
    assert rest.result.artifact is not None
    assert rest.result.artifact.kind == ("lora" if "lora_rank" in recipe else "full")
    return rest
