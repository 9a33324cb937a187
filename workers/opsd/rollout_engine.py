"""What draws a run's rollouts, and how it gets the weights that are trained."""

from collections.abc import Callable
from pathlib import Path

from gapcast.contract.measured import ModelOptions
from gapcast.contract.training import TrainingConfiguration
from workers.engines import Engine, uses_vllm
from workers.engines.transformers import TransformersEngine
from workers.opsd.replicas import ReplicaEngine
from workers.opsd.student import Student
from workers.opsd.world import World

SHARED = 0.35
"""Of a GPU's memory for vLLM where the model's options leave it open: weights, gradients, optimizer and teacher of the
trainer live on the same GPU."""


def rollout_engine(
    configuration: TrainingConfiguration, trained: TransformersEngine, origin: Path, student: Student, world: World
) -> tuple[Engine, Callable[[], None]]:
    """The engine that draws rollouts, and what hands it the weights after each step."""
    if world.size > 1:
        replica = ReplicaEngine(TransformersEngine.load(origin, configuration.model_options), student, world)
        return replica, replica.push
    if not uses_vllm(configuration.engine):
        return trained, lambda: None
    from workers.engines.vllm import VllmEngine
    from workers.opsd.sync import RolloutWeights

    options = configuration.model_options
    if options.memory_share == ModelOptions().memory_share:
        options = options.model_copy(update={"memory_share": SHARED})
    engine = VllmEngine.load(origin, options, lora_rank=configuration.recipe.lora_rank)
    weights = RolloutWeights(engine, trained, student.lora)
    weights.push()
    return engine, weights.push
