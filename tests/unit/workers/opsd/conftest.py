from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gapcast.contract.contexts import context_of
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingConfiguration, TrainingOptions
from tests.support.training import MODEL, SMALL, Told, configuration_of
from workers.engines import Sampling, model_folder
from workers.engines.transformers import TransformersEngine
from workers.opsd import run_training
from workers.opsd.student import Student
from workers.opsd.trainer import Trainer
from workers.resources import Resources
from workers.sampling.arms import Sampler
from workers.sampling.drawn import draw_problems
from workers.tasks import Task


@pytest.fixture(scope="session")
def configured(task: Task) -> Callable[..., TrainingConfiguration]:
    """Makes a small run's configuration; recipe and options can be changed by keyword."""
    return partial(configuration_of, task)


@pytest.fixture(scope="session")
def run(here: Resources) -> Callable[..., Told]:
    """Runs a configuration, with places for what it writes where a folder is given."""

    def make(configuration: TrainingConfiguration, folder: Path | None = None, **places: Any) -> Told:
        resources = here
        if folder is not None:
            resources = replace(here, checkpoint_folder=folder / "checkpoints", export_folder=folder / "model")
        told = Told()
        told.result = run_training(configuration, replace(resources, **places), lambda *line: told.events.append(line))
        return told

    return make


@pytest.fixture
def trainer(task: Task) -> Callable[..., Trainer]:
    """A trainer over a freshly loaded model; everything of the recipe can be changed."""

    def make(context: dict[str, Any] | None = None, options: TrainingOptions | None = None, **recipe: Any) -> Trainer:
        engine = TransformersEngine.load(model_folder(MODEL))
        chosen, how = Recipe(**{**SMALL, **recipe}), options or TrainingOptions()
        return Trainer(
            Student(engine, chosen, how, seed=0),
            Sampler(engine, task, Sampling(1.0, 1.0, 8), seed=0),
            draw_problems(task, 16, 0),
            context_of(context or {"kind": "reference_solution"}),
            chosen,
            how,
        )

    return make
