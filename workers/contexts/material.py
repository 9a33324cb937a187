"""What a context can be made of: a problem, the student's attempts at it, and hints extracted from one of them."""

from dataclasses import dataclass

from workers.tasks import Problem, Verdict


@dataclass(frozen=True)
class Attempt:
    """One rollout of the student with what the verifier says about it."""

    text: str
    """The whole completion, thinking included."""
    verdict: Verdict


@dataclass(frozen=True)
class Material:
    """Everything that the context of one rollout may draw on."""

    problem: Problem
    group: tuple[Attempt, ...] = ()
    """The rollout's group: `group_size` attempts, the rollout itself among them; one attempt where none is needed."""
    place: int = 0
    """The rollout's own place in its group."""
    hints: str | None = None
    """Hints that the model extracted; null where none were asked for or no solution was there to extract them from."""

    @property
    def own(self) -> Attempt | None:
        """The rollout itself; null where no attempts were drawn."""
        return self.group[self.place] if self.group else None

    @property
    def peers(self) -> tuple[Attempt, ...]:
        """The others of the group, in order."""
        return self.group[: self.place] + self.group[self.place + 1 :]
