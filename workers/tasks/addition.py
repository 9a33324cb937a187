"""The lab's `addition` world: sums of two three-digit numbers, written with four digits (`047+985=`, answer `1032`)."""

import random
from collections.abc import Sequence

from workers.tasks.lab import HIDDEN, WORLD_SEED, LabTask, reveal
from workers.tasks.protocol import Problem, Split
from workers.tasks.seeds import derive_seed

DIGITS = 3
"""Digits of a summand: a million different sums, far more than a tiny model memorises while it is pre-trained."""

ANSWER_DIGITS = DIGITS + 1


def prompt_of(left: int, right: int) -> str:
    """The question, `047+985=`."""
    return f"{left:0{DIGITS}d}+{right:0{DIGITS}d}="


def answer_of(left: int, right: int) -> str:
    """The sum with leading zeros, `1032`."""
    return f"{left + right:0{ANSWER_DIGITS}d}"


def merge(masks: Sequence[str]) -> str:
    """Several partly revealed answers as one: `1___` and `__3_` give `1_3_`."""
    return "".join(next((c for c in column if c != HIDDEN), HIDDEN) for column in zip(*masks, strict=True))


class AdditionTask(LabTask):
    """`lab/addition`."""

    name = "lab/addition"
    preamble = "You are an expert in arithmetic."
    hint_levels = ANSWER_DIGITS
    different = 10 ** (2 * DIGITS)

    def problem(self, split: Split, index: int, number: int) -> Problem:
        """One sum; the order in which hints reveal digits is random but fixed per problem."""
        left, right = divmod(number, 10**DIGITS)
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

    def hint_text(self, problem: Problem, level: int) -> str:
        """The answer with its first `level` digits revealed, in the problem's own order."""
        return merge(problem.hints[:level])
