"""Builds the self-teacher's privileged context: pure functions of their arguments, the same for probe and trainer."""

import math
import random
from collections.abc import Iterator, Sequence
from functools import lru_cache

from gapcast.contract.arithmetic import MOST_DIGITS
from gapcast.contract.contexts import Context, NoneContext, StaticContext
from gapcast.contract.numbers import Number, parse_number
from workers.contexts.kinds import BUILDERS, Block, BuiltContext
from workers.contexts.material import Material
from workers.tasks import Problem, Task, derive_seed, derive_unit

MOST_DONORS = 1000
"""Other problems that are tried for a wrong context: where one in 200 can give one, 99.3 % of rollouts find it, and a
probe of 100,000 problems whose donors can give none still ends."""

SAME_NUMBER = 1e-6
"""Share within which two answers are one number, as the verifier `numeric` has it by default."""


def build_context(
    context: Context, task: Task, material: Material, donors: Sequence[Material], *, seed: int, draw: str
) -> BuiltContext:
    """The privileged context of one rollout.

    `seed` fixes which problems are covered, so that probe and training with one seed cover the same ones; `draw` names
    the rollout, so that corruption is drawn anew for each. A wrong context (corrupted, or of a control) stands only
    where the rollout would have a context of its own, so that it differs in what is shown and in nothing else; it is
    made of one of `donors` whose problem is another one with another answer.

    Raises:
        JobError: `hint_level_too_high`.
    """
    content, problem = context.content, material.problem
    if isinstance(content, NoneContext):
        return BuiltContext(reason="kind_is_none")
    # a placebo covers what the context covers whose placebo it is
    coverage = min(context.corruption.coverage, content.corruption.coverage)
    if derive_unit("coverage", seed, problem.id) >= coverage:
        return BuiltContext(reason="not_covered")
    build = BUILDERS[type(content)]
    own = build(content, task, material)
    wrong = context.is_control or derive_unit("corruption", seed, problem.id, draw) < context.corruption.rate
    if own.reason is not None or not wrong:
        return own
    if isinstance(content, StaticContext):
        # A static text says nothing about one problem, so its wrong form is the text itself in disorder.
        words = _shuffled_words(own.blocks[0].text, derive_seed("words", seed, draw))
        return BuiltContext((Block(content.kind, words),), corrupted=True)
    for donor in _in_random_order(donors, "other", seed, problem.id, draw):
        if _has_another_answer(problem, donor.problem):
            other = build(content, task, donor)
            if other.reason is None:
                return BuiltContext(other.blocks, corrupted=True)
    return BuiltContext(reason="no_donor")


def _has_another_answer(problem: Problem, other: Problem) -> bool:
    if problem.answer is None or other.answer is None:
        return other.id != problem.id
    one, another = problem.answer.strip(), other.answer.strip()
    if one == another:
        return False
    # "0.50" and "1/2" are one answer; a text this long is no number, and is not kept in memory
    numbers = [_number(text) for text in (one, another) if len(text) <= 2 * MOST_DIGITS]
    if len(numbers) < 2 or numbers[0] is None or numbers[1] is None:
        return True
    return not numbers[0].equals(numbers[1], SAME_NUMBER)


@lru_cache(maxsize=1 << 14)
def _number(answer: str) -> Number | None:
    """Parsed once: every rollout compares its own answer with those of up to `MOST_DONORS` others."""
    return parse_number(answer)


def _in_random_order(donors: Sequence[Material], *seed: str | int) -> Iterator[Material]:
    """At most `MOST_DONORS` donors, from a drawn one on in drawn steps that meet each of them once."""
    count = len(donors)
    if not count:
        return
    rng = random.Random(derive_seed(*seed))  # noqa: S311 - a control, not a secret
    place, step = rng.randrange(count), rng.randrange(count)
    while math.gcd(step, count) != 1:
        step = rng.randrange(count)
    for _ in range(min(count, MOST_DONORS)):
        yield donors[place]
        place = (place + step) % count


def _shuffled_words(text: str, seed: int) -> str:
    words = text.split()
    random.Random(seed).shuffle(words)  # noqa: S311 - a control, not a secret
    return " ".join(words)
