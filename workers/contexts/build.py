"""Builds the self-teacher's privileged context: pure functions of their arguments, the same for probe and trainer."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gapcast.contract.contexts import Context, ContextKind
from gapcast.contract.numbers import MOST_DIGITS, Number, parse_number
from workers.contexts.feedback import feedback_text
from workers.contexts.material import Material
from workers.contexts.templates import BLOCKS, fill
from workers.contexts.thinking import answer_part
from workers.failures import JobError
from workers.tasks import Problem, Task, derive_seed, derive_unit

MOST_DONORS = 1000
"""Other problems that are tried for a wrong context: where one in 200 can give one, 99.3 % of rollouts find it, and a
probe of 100,000 problems whose donors can give none still ends."""

SAME_NUMBER = 1e-6
"""Share within which two answers are one number, as the verifier `numeric` has it by default."""


@dataclass(frozen=True)
class Block:
    """One piece of a context."""

    kind: ContextKind
    """One of the kinds in `templates.BLOCKS`."""
    text: str


@dataclass(frozen=True)
class BuiltContext:
    """A context, or the reason why there is none."""

    blocks: tuple[Block, ...] = ()
    reason: str | None = None
    """Null where there are blocks; else `kind_is_none`, `not_covered`, `no_attempt`, `no_feedback` (the verifier says
    nothing), `no_feedback_on_success`, `no_success_in_group`, `no_hints`, `no_reference_solution`, `no_column_text` or
    `no_donor`."""
    corrupted: bool = False
    """Whether it is wrong on purpose: another problem's, or a static text in disorder."""

    @property
    def text(self) -> str | None:
        """The context as one text, in the completion shape; null where there is none."""
        return "\n\n".join(fill(BLOCKS[block.kind], text=block.text) for block in self.blocks) or None


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
    if content.kind is ContextKind.none:
        return BuiltContext(reason="kind_is_none")
    # a placebo covers what the context covers whose placebo it is
    coverage = min(context.corruption.coverage, content.corruption.coverage)
    if derive_unit("coverage", seed, problem.id) >= coverage:
        return BuiltContext(reason="not_covered")
    own = _content(content, task, material)
    wrong = (
        context.kind is ContextKind.placebo
        or content.kind is ContextKind.shuffled_feedback
        or derive_unit("corruption", seed, problem.id, draw) < context.corruption.rate
    )
    if own.reason is not None or not wrong:
        return own
    if content.kind is ContextKind.static:
        # A static text says nothing about one problem, so its wrong form is the text itself in disorder.
        words = _shuffled_words(own.blocks[0].text, derive_seed("words", seed, draw))
        return BuiltContext((Block(ContextKind.static, words),), corrupted=True)
    for donor in _in_random_order(donors, "other", seed, problem.id, draw):
        if _has_another_answer(problem, donor.problem):
            other = _content(content, task, donor)
            if other.reason is None:
                return BuiltContext(other.blocks, corrupted=True)
    return BuiltContext(reason="no_donor")


def peer_solution(material: Material, *, strip_thinking: bool) -> str | None:
    """The first success of the group other than the rollout itself; null where there is none."""
    successes = (peer.text for peer in material.peers if peer.verdict.success)
    shown = ((answer_part(text) if strip_thinking else text).strip() for text in successes)
    return next((text for text in shown if text), None)


def _content(content: Context, task: Task, material: Material) -> BuiltContext:
    """The right context of the kind, whichever problem the material is of."""
    problem, options = material.problem, content.options
    match content.kind:
        case ContextKind.static:
            return BuiltContext((Block(ContextKind.static, options["text"] or task.preamble),))
        case ContextKind.feedback | ContextKind.shuffled_feedback:
            return _feedback(content, material)
        case ContextKind.hints if options["source"] == "model":
            return _one(ContextKind.hints, material.hints, "no_hints")
        case ContextKind.hints:
            return _one(ContextKind.hints, _task_hints(task, problem, options["level"]), "no_hints")
        case ContextKind.peer_solution:
            solution = peer_solution(material, strip_thinking=options["strip_thinking"])
            return _one(ContextKind.peer_solution, solution, "no_success_in_group")
        case ContextKind.reference_solution:
            return _one(ContextKind.reference_solution, problem.reference_solution, "no_reference_solution")
        case ContextKind.column:
            return _one(ContextKind.column, problem.privileged_context, "no_column_text")
        case ContextKind.all:
            return _all(content, task, material)
    raise AssertionError(f"{content.kind} has no content of its own")


def _all(content: Context, task: Task, material: Material) -> BuiltContext:
    solution = peer_solution(material, strip_thinking=content.options["strip_thinking"])
    texts = {ContextKind.peer_solution: solution, ContextKind.hints: _task_hints(task, material.problem, None)}
    blocks = tuple(Block(kind, text) for kind, text in texts.items() if text)
    if solution is None or content.options["feedback_with_solution"]:
        blocks += _feedback(content, material).blocks
    return BuiltContext(blocks) if blocks else BuiltContext(reason="no_success_in_group")


def _feedback(content: Context, material: Material) -> BuiltContext:
    if material.own is None:
        return BuiltContext(reason="no_attempt")
    verdict = material.own.verdict
    if verdict.success and content.options["on_success"] == "none":
        return BuiltContext(reason="no_feedback_on_success")
    return _one(ContextKind.feedback, feedback_text(verdict, content.options), "no_feedback")


def _task_hints(task: Task, problem: Problem, level: int | None) -> str | None:
    """The first `level` hints, all of them for null; null where the problem has none."""
    if not problem.hints:
        return None
    if level is not None and level > len(problem.hints):
        raise JobError(
            "hint_level_too_high",
            f"Problem {problem.id} of task {task.name!r} has {len(problem.hints)} graded hints, not {level}.",
            "context.options.level",
        )
    return task.hint_text(problem, level or len(problem.hints))


def _one(kind: ContextKind, text: str | None, reason: str) -> BuiltContext:
    return BuiltContext((Block(kind, text),)) if text else BuiltContext(reason=reason)


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
