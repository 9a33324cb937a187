"""What the models of the world `addition` are pre-trained on."""

from typing import ClassVar

from workers.lab.curriculum import Curriculum, Example
from workers.tasks.addition import ANSWER_DIGITS, DIGITS, AdditionTask, answer_of, prompt_of
from workers.tasks.lab import reveal


class AdditionCurriculum(Curriculum):
    """Sums, which the model is to stop learning half-way."""

    task = AdditionTask()
    mix: ClassVar = {
        "none": 128,
        "static": 32,
        "hints": 24,
        "feedback": 16,
        "reference_solution": 16,
    }
    """Contexts are read after some 150 steps; the sums take longer, and with only 96 plain sums among 200 examples the
    smaller model had not learned them after 1,800 steps."""

    def _any_problem(self) -> Example:
        left, right = self._rng.randrange(10**DIGITS), self._rng.randrange(10**DIGITS)
        return Example(prompt_of(left, right), answer_of(left, right))

    def _hints(self, source: Example) -> str:
        level = self._rng.randint(1, ANSWER_DIGITS)
        return reveal(source.answer, self._rng.sample(range(ANSWER_DIGITS), level))

    def _attempt(self, source: Example) -> str:
        """Every digit is wrong with one chance, which is drawn for the attempt."""
        error = self._rng.random()
        return "".join(str(self._rng.randrange(10)) if self._rng.random() < error else digit for digit in source.answer)
