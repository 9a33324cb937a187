"""What the lab's tasks share: made problems about numbers of a fixed width, with feedback that shows the right digits.

A revealed digit always stands at the same distance from the digit that it reveals: that is what lets a model of 0.1M
parameters read a context at all.
"""

import hashlib
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from functools import cached_property

from workers.tasks.protocol import Problem, Split, Verdict, wrong
from workers.tasks.seeds import derive_seed

HIDDEN = "_"
"""Stands for a digit that a hint or feedback does not show."""

TRAIN_PROBLEMS = 512
"""Enough for a probe of 500 problems, the longest in LAW.md's simulations."""

HELD_OUT_PROBLEMS = 256

WORLD_SEED = 20260530
"""Any constant: it fixes the problems for ever (changing it changes the tasks' revisions)."""

_REVISED = ("id", "split", "prompt", "answer", "reference_solution", "hints")
"""The fields of a problem that the revision is made of: all that these tasks fill."""


def reveal(digits: str, positions: Collection[int]) -> str:
    """The digits at the given positions and no others, `1_3_`."""
    return "".join(digit if index in positions else HIDDEN for index, digit in enumerate(digits))


def is_number(attempt: str, digits: int) -> bool:
    """Whether an attempt has the form of an answer."""
    attempt = " ".join(attempt.split())
    return len(attempt) == digits and attempt.isdecimal()


def diagnose(answer: str, attempt: str) -> str:
    """Feedback on an attempt: it shows the digits that are right and hides the others."""
    attempt = " ".join(attempt.split())
    if attempt == answer:
        return f"{attempt} is right: {answer}"
    if not is_number(attempt, len(answer)):
        return f"not a number of {len(answer)} digits: {HIDDEN * len(answer)}"
    right = [index for index in range(len(answer)) if attempt[index] == answer[index]]
    return f"{attempt} is wrong: {reveal(answer, right)}"


class LabTask(ABC):
    """A task of the lab; implements `workers.tasks.protocol.Task`."""

    name: str
    preamble: str
    hint_levels: int
    different: int
    """How many different problems there are; the task's own are drawn from them."""
    verifier = "exact"
    max_tokens = 16
    slow = False

    @abstractmethod
    def problem(self, split: Split, index: int, number: int) -> Problem:
        """The problem that is called `number` of all different ones."""

    @abstractmethod
    def hint_text(self, problem: Problem, level: int) -> str:
        """The first `level` graded hints as one text."""

    def problems(self, split: Split) -> Sequence[Problem]:
        """All problems of a split, in a fixed order; none is in both splits."""
        train, held_out = self._splits
        return train if split is Split.train else held_out

    def verify(self, problem: Problem, completion: str) -> Verdict:
        """1 for exactly the answer, else 0; the note says which digits of the attempt are right."""
        answer = str(problem.answer)
        note = diagnose(answer, completion)
        if completion.strip() == answer:
            return Verdict(1.0, note)
        # what is no number says nothing that a model was ever shown: its note stands alone, as in pre-training
        return wrong(note, answer, completion) if is_number(completion, len(answer)) else Verdict(0.0, note)

    @cached_property
    def revision(self) -> str:
        """`sha256:` of the problems of both splits, the preamble and the token limit."""
        problems = [
            {field: getattr(problem, field) for field in _REVISED} for split in self._splits for problem in split
        ]
        content = [problems, [self.preamble, str(self.max_tokens), self.verifier]]
        return f"sha256:{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}"

    @cached_property
    def prompts(self) -> frozenset[str]:
        """Every prompt of the task: pre-training must not see them."""
        return frozenset(problem.text for split in self._splits for problem in split)

    @cached_property
    def _splits(self) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
        rng = random.Random(derive_seed(self.name.removeprefix("lab/"), WORLD_SEED))  # noqa: S311 - problems, not secrets
        numbers = rng.sample(range(self.different), TRAIN_PROBLEMS + HELD_OUT_PROBLEMS)
        return (
            tuple(self.problem(Split.train, i, number) for i, number in enumerate(numbers[:TRAIN_PROBLEMS])),
            tuple(self.problem(Split.held_out, i, number) for i, number in enumerate(numbers[TRAIN_PROBLEMS:])),
        )
