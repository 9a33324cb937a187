"""Finished runs as the model of a curve takes them, and which of them are like another; pure."""

from typing import NamedTuple

from service.fits.tuning import Tuning, in_mode
from service.law.curve import Finished
from service.observations.repository import AnyRow

LIKE = 1.25
"""factor within which the steps of two runs are alike: T, a share of the steps, does not carry over to other lengths"""


class Likeness(NamedTuple):
    """Runs whose curves tell of each other: of a cell (in its mode), a tuning, a schedule, and about as many steps."""

    cell: str
    tuning: str
    schedule: str
    steps: int

    @classmethod
    def of(cls, row: AnyRow) -> "Likeness":
        """Find a stored run's."""
        tuning = Tuning.of(row.learning_rate, row.adaptation, row.training_problems).name
        return cls(in_mode(row.cell, row.mode), tuning, row.schedule or "constant", row.steps)

    def to(self, other: "Likeness") -> bool:
        """Return True if the other run is such a run."""
        return self[:3] == other[:3] and self.steps / LIKE <= other.steps <= self.steps * LIKE


def finished(row: AnyRow) -> Finished | None:
    """Read a stored run's curve; None without a look before its end."""
    # null in the JSON of rows without one; the run's own rollouts come after its evaluations
    looks = sorted(row.curve or [], key=lambda look: look["step"])
    t = [look["step"] / row.steps for look in looks]
    gain, se = ([look[name] for look in looks] for name in ("improvement", "se"))
    return Finished.of_improvements(t, gain, se, row.improvement, row.improvement_se) if looks else None
