"""The lab's `addition` world: sums of two three-digit numbers, written with four digits.

Every number has a fixed width (`047+985=`, answer `1032`), so that a revealed digit always stands at the same distance
from the digit that it reveals: that is what lets a model of 0.1M parameters read a context at all.
"""

import hashlib
import json
import random
from collections.abc import Sequence
from functools import cached_property

from workers.tasks.protocol import Problem, Split, Verdict, wrong
from workers.tasks.seeds import derive_seed

DIGITS = 3
"""Digits of a summand: a million different sums, far more than a tiny model memorises while it is pre-trained."""

ANSWER_DIGITS = DIGITS + 1

HIDDEN = "_"
"""Stands for a digit that a hint or feedback does not show."""

TRAIN_PROBLEMS = 512
"""Enough for a probe of 500 problems, the longest in LAW.md's simulations."""

HELD_OUT_PROBLEMS = 256

WORLD_SEED = 20260530
"""Any constant: it fixes the problems for ever (changing it changes the task's revision)."""

_REVISED = ("id", "split", "prompt", "answer", "reference_solution", "hints")
"""The fields of a problem that the revision is made of: all that this task fills."""


def prompt_of(left: int, right: int) -> str:
    """The question, `047+985=`."""
    return f"{left:0{DIGITS}d}+{right:0{DIGITS}d}="


def answer_of(left: int, right: int) -> str:
    """The sum with leading zeros, `1032`."""
    return f"{left + right:0{ANSWER_DIGITS}d}"


def reveal(answer: str, positions: Sequence[int]) -> str:
    """The answer with only the digits at the given positions shown, `1_3_`."""
    return "".join(digit if index in positions else HIDDEN for index, digit in enumerate(answer))


def merge(masks: Sequence[str]) -> str:
    """Several partly revealed answers as one: `1___` and `__3_` give `1_3_`."""
    return "".join(next((c for c in column if c != HIDDEN), HIDDEN) for column in zip(*masks, strict=True))


def is_number(attempt: str) -> bool:
    """Whether an attempt has the form of an answer."""
    attempt = " ".join(attempt.split())
    return len(attempt) == ANSWER_DIGITS and attempt.isdecimal()


def diagnose(answer: str, attempt: str) -> str:
    """Feedback on an attempt: it shows the digits that are right and hides the others."""
    attempt = " ".join(attempt.split())
    if attempt == answer:
        return f"{attempt} is right: {answer}"
    if not is_number(attempt):
        return f"not a number of {ANSWER_DIGITS} digits: {HIDDEN * ANSWER_DIGITS}"
    right = [index for index in range(ANSWER_DIGITS) if attempt[index] == answer[index]]
    return f"{attempt} is wrong: {reveal(answer, right)}"


class AdditionTask:
    """`lab/addition`; implements `workers.tasks.protocol.Task`."""

    name = "lab/addition"
    verifier = "exact"
    max_tokens = 16
    hint_levels = ANSWER_DIGITS
    preamble = "You are an expert in arithmetic."
    slow = False

    def problems(self, split: Split) -> Sequence[Problem]:
        """All problems of a split, in a fixed order; no sum is in both splits."""
        train, held_out = self._splits
        return train if split is Split.train else held_out

    def verify(self, problem: Problem, completion: str) -> Verdict:
        """1 for the exact sum, else 0; the note says which digits of the attempt are right."""
        answer = str(problem.answer)
        note = diagnose(answer, completion)
        if completion.strip() == answer:
            return Verdict(1.0, note)
        # what is no number says nothing that a model was ever shown: its note stands alone, as in pre-training
        return wrong(note, answer, completion) if is_number(completion) else Verdict(0.0, note)

    def hint_text(self, problem: Problem, level: int) -> str:
        """The answer with its first `level` digits revealed, in the problem's own order."""
        return merge(problem.hints[:level])

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
        rng = random.Random(derive_seed("addition", WORLD_SEED))  # noqa: S311 - problems, not secrets
        limit = 10**DIGITS
        sums = rng.sample(range(limit * limit), TRAIN_PROBLEMS + HELD_OUT_PROBLEMS)
        pairs = [divmod(number, limit) for number in sums]
        return (
            tuple(_problem(Split.train, i, *pair) for i, pair in enumerate(pairs[:TRAIN_PROBLEMS])),
            tuple(_problem(Split.held_out, i, *pair) for i, pair in enumerate(pairs[TRAIN_PROBLEMS:])),
        )


def _problem(split: Split, index: int, left: int, right: int) -> Problem:
    """One problem; the order in which hints reveal digits is random but fixed per problem."""
    prompt, answer = prompt_of(left, right), answer_of(left, right)
    order = list(range(ANSWER_DIGITS))
    random.Random(derive_seed("addition-hints", WORLD_SEED, prompt)).shuffle(order)  # noqa: S311
    return Problem(
        id=f"{split}-{index:04d}",
        split=split,
        prompt=prompt,
        answer=answer,
        reference_solution=answer,
        hints=tuple(reveal(answer, [position]) for position in order),
    )
