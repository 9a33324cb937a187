"""The runs of the study: 8 contexts in each world under an EMA teacher, and of the cipher under a frozen one."""

from typing import Any, NamedTuple

from gapcast.contract.contexts import TEMPLATE_VERSION, context_of
from gapcast.contract.measured import Decoding
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingConfiguration, TrainingOptions
from studies.links.plan import ADDITION, CIPHER, EMA, FROZEN, World

PROBLEMS = 128
"""trained on, and evaluated at each look"""
LOOKS = 20
"""of a run: 5, 10, 20, 30 and 50 % of the steps are looks"""
STEPS = {"addition": 160, "cipher": 80}
"""about those of the study of links, 150 and 75, whose runs feed the law; whole looks"""
WORLDS = {"cipher": CIPHER, "addition": ADDITION}
SEEDS = range(5)
FROZEN_SEEDS = (0, 2, 4)
FIRST_SEED = 2000
"""The study of links counts its seeds from 0; no run of the one is a run of the other."""


class Planned(NamedTuple):
    """One run."""

    world: str
    teacher: str
    context: str
    seed: int

    @property
    def name(self) -> str:
        """Names the run for ever."""
        return "|".join([self.world, self.teacher, self.context, str(self.seed)])

    @property
    def task(self) -> World:
        """The task, the models and the contexts."""
        return WORLDS[self.world]

    @property
    def model(self) -> str:
        """The smallest model of the world."""
        return self.task.models[0]

    @property
    def shown(self) -> dict[str, Any]:
        """What the self-teacher is shown."""
        return self.task.contexts[self.context]

    def configuration(self, model_revision: str, task_revision: str) -> TrainingConfiguration:
        """What is trained."""
        steps = STEPS[self.world]
        return TrainingConfiguration(
            model=self.model,
            model_revision=model_revision,
            task=self.task.task,
            task_revision=task_revision,
            context=context_of(self.shown),
            template_version=TEMPLATE_VERSION,
            recipe=Recipe(teacher=self.teacher, steps=steps),
            decoding=Decoding(),
            problems=PROBLEMS,
            rollouts=4,
            held_out_problems=0,
            seed=FIRST_SEED + self.seed,
            options=TrainingOptions(
                stop_on_collapse=False,
                export="none",
                evaluate_every=steps // LOOKS,
                checkpoint_every=steps,
            ),
        )


def plan() -> list[Planned]:
    """Every run, so ordered that the first ones are of all worlds and contexts."""
    found = []
    for seed in SEEDS:
        for of_addition, of_cipher in zip(ADDITION.contexts, CIPHER.contexts, strict=True):
            found.append(Planned("cipher", EMA, of_cipher, seed))
            found.append(Planned("addition", EMA, of_addition, seed))
            if seed in FROZEN_SEEDS:
                found.append(Planned("cipher", FROZEN, of_cipher, seed))
    return found
