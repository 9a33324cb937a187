"""What the lab's models are pre-trained on: problems outside the tasks, alone and under contexts right or wrong."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from gapcast.contract.contexts import ContextKind
from workers.contexts.kinds import BLOCKS
from workers.contexts.templates import TEACHER_PROMPT, fill
from workers.tasks.lab import LabTask, diagnose

WRONG_CONTEXTS = 0.05
"""Share of pre-training contexts that belong to another problem: the model learns to doubt, and still reads."""

MALFORMED = 0.03
"""About the share of malformed attempts of an early student."""

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


class Curriculum(ABC):
    """Draws examples; never one of the task's own problems, in either split."""

    task: LabTask
    mix: ClassVar[Mapping[ContextKind, int]]
    """Examples a step and kind."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - training data, not secrets
        self._kinds: dict[ContextKind, Callable[[Example], str]] = {
            "static": lambda _: self._preamble(),
            "hints": self._hints,
            "feedback": lambda source: diagnose(source.answer, self._any_attempt(source)),
            "reference_solution": lambda source: source.answer,
        }

    @abstractmethod
    def _any_problem(self) -> Example:
        """A problem, perhaps of the task."""

    @abstractmethod
    def _hints(self, source: Example) -> str:
        """Hints of any level."""

    @abstractmethod
    def _attempt(self, source: Example) -> str:
        """An attempt like a student's."""

    def examples(self, kind: ContextKind, count: int) -> list[Example]:
        """`count` examples under contexts of one kind."""
        return [self._example(kind) for _ in range(count)]

    def _example(self, kind: ContextKind) -> Example:
        asked = self._problem()
        if kind == "none":
            return asked
        source = self._problem() if self._rng.random() < WRONG_CONTEXTS else asked
        text = self._kinds[kind](source)
        template = BLOCKS[kind]
        placeholder = template[template.index("{") + 1 : template.index("}")]
        context = fill(template, **{placeholder: text})
        return Example(fill(TEACHER_PROMPT, context=context, prompt=asked.prompt), asked.answer)

    def _problem(self) -> Example:
        while True:
            drawn = self._any_problem()
            if drawn.prompt not in self.task.prompts:
                return drawn

    def _preamble(self) -> str:
        return " ".join(self._rng.choice(WORDS) for _ in range(self._rng.randint(2, 8))).capitalize() + "."

    def _any_attempt(self, source: Example) -> str:
        if self._rng.random() < MALFORMED:
            return source.answer[: self._rng.randrange(len(source.answer))]
        return self._attempt(source)
