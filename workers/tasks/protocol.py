"""What a task is: problems with a verifier that scores a completion and can say what is wrong with it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Protocol


class Split(StrEnum):
    """Which problems a run may learn from."""

    train = "train"
    """Probed and trained on."""
    held_out = "held_out"
    """Never trained on; reported beside the improvement."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem with everything that a privileged context can be made of."""

    id: str
    split: Split
    prompt: str
    answer: str
    reference_solution: str
    hints: tuple[str, ...]
    """Graded hints, one per level, in the order in which they are given away."""


class Task(Protocol):
    """A set of problems with a verifier, feedback and graded hints."""

    @property
    def name(self) -> str:
        """The catalogue's name, `lab/addition` for example."""

    @property
    def verifier(self) -> str:
        """The verifier's name."""

    @property
    def max_tokens(self) -> int:
        """Tokens a completion may have where the decoding leaves it open."""

    @property
    def hint_levels(self) -> int:
        """How many graded hints every problem has."""

    @property
    def preamble(self) -> str:
        """The task's own expert preamble: the default text of the context kind `static`."""

    @property
    def revision(self) -> str:
        """`sha256:` of all that the task says about its problems."""

    def problems(self, split: Split) -> Sequence[Problem]:
        """All problems of a split, in a fixed order."""

    def score(self, problem: Problem, completion: str) -> float:
        """The verifier's score of a completion, in [0, 1]."""

    def feedback(self, problem: Problem, completion: str) -> str:
        """What the verifier says about a completion, without giving away what it did not get right."""

    def hint_text(self, problem: Problem, level: int) -> str:
        """The first `level` graded hints as one text."""


def problems_revision(problems: Sequence[Problem], *extra: str) -> str:
    """`sha256:` of the problems' canonical JSON and of whatever else the contexts are made of."""
    canonical = json.dumps([[asdict(problem) for problem in problems], list(extra)], sort_keys=True)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
