"""The run that is asked for, in the law's terms: cell, mode and tuning, dose, what its self-teacher is shown; pure."""

from typing import NamedTuple

from gapcast.contract.recipes import Recipe, cell_of
from service.fits.summary import PoolSummary
from service.fits.tuning import Tuned, Tuning, in_mode, leaf_of


class Asked(NamedTuple):
    """The run that is asked for.

    Attributes:
        family, task, recipe: as the law groups them.
        training_problems: that it trains on; None: nobody says how many.
        context: key of what the self-teacher is shown. model: its name.
        gap_spread: variance over problems of the true gap.
        mode: decoding mode of its gap and its improvement (`gapcast.contract.measured.mode_of`).
    """

    family: str
    task: str
    recipe: Recipe
    training_problems: int | None
    context: str | None
    model: str
    gap_spread: float | None = None
    mode: str | None = None

    @property
    def cell(self) -> str:
        """Family x task x recipe class."""
        return cell_of(self.family, self.task, self.recipe)

    @property
    def moded_cell(self) -> str:
        """Its cell in its decoding mode."""
        return in_mode(self.cell, self.mode)

    @property
    def adaptation(self) -> str:
        """What is trained: all weights, or LoRA's."""
        return "full" if self.recipe.lora_rank is None else "lora"

    @property
    def tuning(self) -> str:
        """How it is tuned, as stored runs are told apart."""
        return Tuning.of(self.recipe.rate, self.adaptation, self.training_problems).name

    @property
    def passes(self) -> float | None:
        """How often it sees each training problem; None: unknown."""
        if self.training_problems is None:
            return None
        return self.recipe.steps * self.recipe.problems_per_step / self.training_problems

    def tuned(self, summary: PoolSummary) -> Tuned | None:
        """The stored runs of its cell that were tuned alike."""
        return summary.cells.get(self.moded_cell, {}).get(self.tuning)

    def leaf(self, summary: PoolSummary) -> str:
        """The law's name of its cell and tuning."""
        return leaf_of(summary.cells, self.moded_cell, self.tuning)
