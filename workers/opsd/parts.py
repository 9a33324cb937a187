"""A run as it was asked for, and what it is made of: models, sampler, evaluator and trainer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gapcast.contract.events import Emit
from gapcast.contract.training import TrainingConfiguration
from workers.engines import Engine, checked_folder
from workers.engines.transformers import TransformersEngine
from workers.opsd.configuration import own_seed
from workers.opsd.evaluation import Evaluator
from workers.opsd.replicas import ReplicaEngine, SharedSampler
from workers.opsd.rollout_engine import rollout_engine
from workers.opsd.student import Student
from workers.opsd.trainer import Trainer
from workers.opsd.world import World
from workers.resources import Resources
from workers.sampling.arms import sampling_of
from workers.sampling.drawn import draw_problems
from workers.tasks import Problem, Split, load_task


@dataclass(frozen=True)
class Job:
    """A run as it was asked for, on this worker."""

    configuration: TrainingConfiguration
    resources: Resources
    emit: Emit
    stop: Callable[[], bool]
    """True once the run is to be put aside after its step."""
    world: World


@dataclass(frozen=True)
class Parts:
    """What a run is made of."""

    origin: Path
    """The folder of the model that is trained."""
    student: Student
    trainer: Trainer
    engine: Engine
    """Draws rollouts."""
    push: Callable[[], None]
    """Hands the engine the student's weights."""
    whole: Any
    """The model with all its weights: of several processes the replica, as what is trained is sharded."""
    evaluator: Evaluator


def load_parts(job: Job) -> Parts:
    """Load a run's task and models, and make what trains and measures with them.

    Raises:
        JobError: they cannot be loaded on this worker.
    """
    configuration, world = job.configuration, job.world
    seed = own_seed(configuration)
    task = load_task(configuration.task, configuration.task_revision, job.resources.task_folder)
    problems = draw_problems(task, configuration.problems, seed, param="training.problems")
    held_out: list[Problem] = []
    if configuration.held_out_problems:
        size = configuration.held_out_problems
        held_out = draw_problems(task, size, seed, Split.held_out, "training.held_out_problems")
    origin = checked_folder(job.resources.source, configuration.model_revision)
    trained = TransformersEngine.load(origin, configuration.model_options, on_cpu=world.size > 1)
    student = Student(trained, configuration.recipe, configuration.options, seed)
    engine, push = rollout_engine(configuration, trained, origin, student, world)
    decoding = configuration.decoding.of("student")
    sampler = SharedSampler(engine, task, sampling_of(decoding, task), seed, decoding.thinking, world=world)
    teacher, evaluated = (sampler.decoding_as(configuration.decoding.of(axis)) for axis in ("teacher", "evaluation"))
    context, recipe, options = configuration.context, configuration.recipe, configuration.options
    return Parts(
        origin,
        student,
        Trainer(student, sampler, problems, context, recipe, options, push, world, teacher),
        engine,
        push,
        engine.model if isinstance(engine, ReplicaEngine) else trained.model,
        Evaluator(evaluated, sampler, teacher, problems[: configuration.evaluated], held_out, configuration.rollouts),
    )
