"""What the lab's models are pre-trained on: sums outside the task, alone and under contexts of varying reliability."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from service.catalog.contexts import ContextKind
from workers.contexts.templates import BLOCKS, TEACHER_PROMPT, fill
from workers.tasks.addition import ANSWER_DIGITS, DIGITS, AdditionTask, answer_of, diagnose, prompt_of, reveal

WRONG_CONTEXTS = 0.05
"""Share of pre-training contexts that belong to another sum: the model learns to doubt, and still reads."""

WORDS = (
    "you",
    "are",
    "an",
    "expert",
    "in",
    "arithmetic",
    "mathematics",
    "at",
    "adding",
    "numbers",
    "solve",
    "the",
    "following",
    "problem",
    "carefully",
    "think",
    "step",
    "by",
    "work",
    "answer",
    "with",
    "sum",
    "only",
    "please",
    "be",
    "precise",
    "a",
    "careful",
    "teacher",
    "student",
    "calculator",
    "it",
    "this",
    "task",
    "is",
    "to",
    "add",
    "check",
    "every",
    "digit",
    "carry",
    "the",
    "one",
    "from",
    "right",
    "left",
    "do",
    "not",
    "guess",
)
"""Words of the preambles that tell nothing; random strings of them teach the model to pass over any such text."""


@dataclass(frozen=True)
class Example:
    """A prompt and the answer that the model is to continue it with."""

    prompt: str
    answer: str


class Curriculum:
    """Draws examples; never one of the task's own problems, in either split."""

    def __init__(self, task: AdditionTask, seed: int) -> None:
        self._reserved = task.prompts
        self._rng = random.Random(seed)  # noqa: S311 - training data, not secrets
        self._kinds: dict[ContextKind, Callable[[str], str]] = {
            ContextKind.static: lambda _: self._preamble(),
            ContextKind.hints: self._hints,
            ContextKind.feedback: lambda answer: diagnose(answer, self._attempt(answer)),
            ContextKind.reference_solution: lambda answer: answer,
        }

    def examples(self, kind: ContextKind, count: int) -> list[Example]:
        """`count` examples under contexts of one kind."""
        return [self._example(kind) for _ in range(count)]

    def _example(self, kind: ContextKind) -> Example:
        prompt, answer = self._sum()
        if kind is ContextKind.none:
            return Example(prompt, answer)
        source = self._sum()[1] if self._rng.random() < WRONG_CONTEXTS else answer
        text = self._kinds[kind](source)
        template = BLOCKS[kind]
        placeholder = template[template.index("{") + 1 : template.index("}")]
        context = fill(template, **{placeholder: text})
        return Example(fill(TEACHER_PROMPT, context=context, prompt=prompt), answer)

    def _sum(self) -> tuple[str, str]:
        while True:
            left, right = self._rng.randrange(10**DIGITS), self._rng.randrange(10**DIGITS)
            if prompt_of(left, right) not in self._reserved:
                return prompt_of(left, right), answer_of(left, right)

    def _hints(self, answer: str) -> str:
        level = self._rng.randint(1, ANSWER_DIGITS)
        return reveal(answer, self._rng.sample(range(ANSWER_DIGITS), level))

    def _preamble(self) -> str:
        return " ".join(self._rng.choice(WORDS) for _ in range(self._rng.randint(2, 8))).capitalize() + "."

    def _attempt(self, answer: str) -> str:
        """An attempt like a half-trained student's: digits wrong with a chance of its own, at times malformed."""
        if self._rng.random() < 0.03:  # about the share of malformed attempts of an early student
            return answer[: self._rng.randrange(ANSWER_DIGITS)]
        error = self._rng.random()
        return "".join(str(self._rng.randrange(10)) if self._rng.random() < error else digit for digit in answer)
