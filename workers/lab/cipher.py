"""What the models of the world `cipher` are pre-trained on."""

from typing import ClassVar

from workers.lab.curriculum import Curriculum, Example
from workers.tasks.cipher import DIGITS, MEANINGS, CipherTask, answer_of, hints_of, prompt_of


class CipherCurriculum(Curriculum):
    """Operators whose meaning varies from example to example, so that it stays uncertain how well one computes.

    Under a context the meaning is drawn as without: a hint narrows down what the student believes of the operator, and
    one who knows the operator better is helped more by the same hint.
    """

    task = CipherTask()
    mix: ClassVar = {
        "none": 64,
        "static": 24,
        "hints": 64,
        "feedback": 32,
        "reference_solution": 16,
    }
    """Hints take the longest to read. Without context what is to be learned is how often each meaning is the right one,
    which many examples tell better."""

    def __init__(self, seed: int, known: float) -> None:
        super().__init__(seed)
        self._known = known
        """The chance that an operator has the world's meaning; each of the nine others is equally likely."""

    def _any_problem(self) -> Example:
        operator, number = self._rng.choice(list(MEANINGS)), self._rng.randrange(10**DIGITS)
        return Example(prompt_of(operator, number), answer_of(self._shift(operator), number))

    def _hints(self, source: Example) -> str:
        return self._rng.choice(hints_of(int(source.answer[0]), self._rng))

    def _attempt(self, source: Example) -> str:
        """Computed rightly with what the student takes for the shift."""
        operator, number = source.prompt[0], int(source.prompt[1 : 1 + DIGITS])
        return answer_of(self._shift(operator), number)

    def _shift(self, operator: str) -> int:
        meaning = MEANINGS[operator]
        return meaning if self._rng.random() < self._known else (meaning + self._rng.randint(1, 9)) % 10
