"""The lab's `cipher` world: six operators, each of which shifts digits by its own amount (`F407=`, answer `2629`).

What a context tells about one problem is a rule that all problems of the operator share, so that learning from it helps
on problems that nobody told anything about.
"""

import random

from workers.tasks.lab import WORLD_SEED, LabTask, reveal
from workers.tasks.protocol import Problem, Split
from workers.tasks.seeds import derive_seed

SHIFTS = "0123456789"

MEANINGS = {"A": 7, "B": 4, "C": 9, "D": 1, "E": 6, "F": 2}
"""The shift of every operator, fixed in the world; any, as long as they differ."""

DIGITS = 3
"""With six operators 6,000 different problems, of which pre-training may see seven in eight."""

CANDIDATES = (7, 4, 2, 1)
"""Shifts that a hint of each level leaves. A student that gives the right shift w and each of the others (1 - w) / 9 is
right in w / (w + (k - 1) (1 - w) / 9) of the cases where it knows that it is one of k: with w = .45 in .55, .71, .88
and 1, with w = .25 in .33, .50, .75 and 1."""


def prompt_of(operator: str, number: int) -> str:
    """The question, `F407=`."""
    return f"{operator}{number:0{DIGITS}d}="


def answer_of(shift: int, number: int) -> str:
    """The shift and then every digit moved up by it, beginning again after 9: 407 by 2 is `2629`."""
    return "".join([str(shift), *(str((int(digit) + shift) % 10) for digit in f"{number:0{DIGITS}d}")])


def hints_of(shift: int, rng: random.Random) -> tuple[str, ...]:
    """The shift among fewer and fewer candidates, `01_3_5678_` down to `_1________`; which others stay is drawn."""
    others = [other for other in range(10) if other != shift]
    rng.shuffle(others)
    return tuple(reveal(SHIFTS, {shift, *others[: count - 1]}) for count in CANDIDATES)


class CipherTask(LabTask):
    """`lab/cipher`."""

    name = "lab/cipher"
    preamble = "You are an expert in ciphers."
    hint_levels = len(CANDIDATES)
    different = len(MEANINGS) * 10**DIGITS

    def problem(self, split: Split, index: int, number: int) -> Problem:
        """One problem; which wrong shifts its hints leave is random but fixed per problem."""
        operator, digits = list(MEANINGS)[number // 10**DIGITS], number % 10**DIGITS
        prompt, shift = prompt_of(operator, digits), MEANINGS[operator]
        rng = random.Random(derive_seed("cipher-hints", WORLD_SEED, prompt))  # noqa: S311 - problems, not secrets
        return Problem(
            id=f"{split}-{index:04d}",
            split=split,
            prompt=prompt,
            answer=answer_of(shift, digits),
            reference_solution=answer_of(shift, digits),
            hints=hints_of(shift, rng),
        )

    def hint_text(self, problem: Problem, level: int) -> str:
        """The candidates that the level leaves: each level leaves some of those of the level before."""
        return problem.hints[level - 1]
