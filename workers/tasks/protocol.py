"""What a task is: problems with a verifier that scores a completion and can say what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

MOST_SHOWN = 2000
"""characters of a completion that a failing case quotes: a screenful, so that no context is filled by one bad answer"""


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
    prompt: str | tuple[Mapping[str, str], ...]
    """A text, or chat messages `{"role", "content"}`."""
    answer: str | None = None
    tests: Sequence[Any] = ()
    """As `gapcast.contract.problems.TestCase` (as dictionaries), or `assert` statements."""
    fn_name: str | None = None
    reference_solution: str | None = None
    privileged_context: str | None = None
    hints: tuple[str, ...] = ()
    """Graded hints, one per level, in the order in which they are given away."""

    @property
    def text(self) -> str:
        """The prompt as one text."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n\n".join(message["content"] for message in self.prompt)


@dataclass(frozen=True)
class Case:
    """One check that a completion failed."""

    input: str | None
    """What it was tried on, which never says what is expected; null where the problem itself is the input."""
    expected: str
    got: str
    """What came out, or the error."""


@dataclass(frozen=True)
class Verdict:
    """What a verifier says about one completion."""

    score: float
    """In [0, 1]; 1 is a success."""
    note: str
    """What was found, in a sentence that does not give away the answer."""
    failures: tuple[Case, ...] = field(default=())
    read: str | None = None
    """What was read as the completion's answer; None where nothing was, or the verifier reads all of it."""

    @property
    def success(self) -> bool:
        """Whether everything was right."""
        return self.score >= 1.0


def wrong(note: str, expected: str, got: str, read: str | None = None) -> Verdict:
    """The verdict on a completion that scores 0, with one failing case; what is too long of `got` is left out."""
    shown = got if len(got) <= MOST_SHOWN else f"{got[:MOST_SHOWN]} ..."
    return Verdict(0.0, note, (Case(None, expected, shown),), read)


class Task(Protocol):
    """A set of problems with a verifier and graded hints."""

    @property
    def name(self) -> str:
        """The catalogue's name, `lab/addition` for example."""

    @property
    def max_tokens(self) -> int:
        """Tokens a completion may have where the decoding leaves it open."""

    @property
    def preamble(self) -> str:
        """The task's own expert preamble: the default text of the context kind `static`."""

    @property
    def revision(self) -> str:
        """`sha256:` of all that the task says about its problems."""

    @property
    def slow(self) -> bool:
        """Whether the verifier waits for other processes, so that several completions are verified side by side."""

    def problems(self, split: Split) -> Sequence[Problem]:
        """All problems of a split, in a fixed order; they may be read from a file one by one."""

    def verify(self, problem: Problem, completion: str) -> Verdict:
        """Score a completion. Thread-safe. The thinking part of a completion has been cut off before."""

    def hint_text(self, problem: Problem, level: int) -> str:
        """The first `level` graded hints as one text."""
