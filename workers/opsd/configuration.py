"""What a training run is made of, and which runs this trainer refuses."""

import json
from typing import Literal

from pydantic import Field

from service.catalog.schemas import MeasuredConfiguration, Recipe
from workers.failures import JobError
from workers.tasks import derive_seed


class TrainingConfiguration(MeasuredConfiguration):
    """One OPSD training run."""

    recipe: Recipe
    problems: int = Field(128, ge=2, description="training problems, drawn from the task's train split")
    rollouts: int = Field(4, ge=2, description="rollouts per problem in every evaluation")
    held_out_problems: int = Field(64, ge=2, description="held-out problems evaluated before and after")
    seed: int = Field(0, ge=0, lt=2**32)

    @property
    def own_seed(self) -> int:
        """The seed of all that the run draws, its problems included: two runs that differ in anything share nothing.

        Observations that share a probe make the law's intervals too narrow (DESIGN.md, REST).
        """
        return derive_seed("training", json.dumps(self.model_dump(mode="json"), sort_keys=True))


def require_supported(recipe: Recipe) -> Literal["forward_kl", "reverse_kl"]:
    """The recipe's divergence, if this trainer can run the recipe.

    Raises:
        JobError: `recipe_not_supported`, which names the field.
    """
    if recipe.teacher != "frozen":
        raise _not_supported("teacher", recipe.teacher, "frozen")
    if recipe.top_k is not None:
        raise _not_supported("top_k", recipe.top_k, None)
    if recipe.lora_rank is not None:
        raise _not_supported("lora_rank", recipe.lora_rank, None)
    if recipe.divergence == "js":
        raise _not_supported("divergence", recipe.divergence, "forward_kl or reverse_kl")
    return recipe.divergence


def _not_supported(field: str, value: object, supported: object) -> JobError:
    return JobError(
        "recipe_not_supported", f"recipe.{field} = {value} cannot be trained yet, only {supported}.", f"recipe.{field}"
    )
