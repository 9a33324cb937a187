"""Verifiers: each scores one completion of one problem and says what is wrong with it (OPSD.md, Tasks).

A note never holds the expected answer; the failing case does, and a context decides whether to show it.
"""

from collections.abc import Callable

from gapcast.contract.numbers import parse_number
from gapcast.contract.problems import ChoiceVerifier, NumericVerifier, Verifier
from workers.failures import JobError
from workers.tasks.answers import STATED, chosen_letters, number
from workers.tasks.plugins import Plugin
from workers.tasks.protocol import Problem, Verdict, wrong

NO_NUMBER = "There is no number in the completion."

Verify = Callable[[Problem, str], Verdict]
"""Scores a completion of a problem; thread-safe."""


def verifier(spec: Verifier) -> Verify:
    """The function that a task's verifier is.

    Raises:
        JobError: `verifier_not_found` for a plugin that is not installed; `verifier_failed` for a broken one.
    """
    match spec.kind:
        case "exact":
            return lambda problem, completion: exact(completion, _answer(problem))
        case "numeric":
            return lambda problem, completion: numeric(completion, _answer(problem), spec)
        case "choice":
            return lambda problem, completion: choice(completion, _answer(problem), spec)
        case "math":
            from workers.tasks.mathematics import MathAnswers  # needs an extra

            return MathAnswers(spec)
        case "regex":
            from workers.tasks.regex_answers import matches  # needs the worker's library

            return lambda problem, completion: matches(completion, problem.id, _answer(problem), spec)
        case "python_tests":
            from workers.tasks.python_tests import verify_python  # only such a task needs the sandbox

            return lambda problem, completion: verify_python(completion, problem.tests, problem.fn_name, spec)
        case "json_schema":
            from workers.tasks.json_answers import JsonAnswers  # needs the worker's library

            return JsonAnswers(spec)
        case "plugin":
            return Plugin(spec)


def exact(completion: str, answer: str) -> Verdict:
    """1 where the completion is the answer, surrounding white space aside; else 0."""
    if completion.strip() == answer.strip():
        return Verdict(1.0, "The answer is right.")
    return wrong("The completion is not exactly the expected text.", answer, completion)


def numeric(completion: str, answer: str, spec: NumericVerifier) -> Verdict:
    """1 where the number that the completion states is the answer (`workers.tasks.answers.stated`)."""
    expected = parse_number(answer)
    if expected is None:
        raise JobError("verifier_failed", f"The answer {answer[:100]!r} is not a number.", "task")
    got, place = number(completion)
    if got is None:
        return wrong(f"The {place} is not a number." if place in STATED else NO_NUMBER, answer, completion)
    if got.equals(expected, spec.relative_tolerance):
        return Verdict(1.0, "The number is right.", read=got.text)
    return wrong(f"The {place} is wrong.", answer, got.text, got.text)


def choice(completion: str, answer: str, spec: ChoiceVerifier) -> Verdict:
    """1 where the chosen letter is the answer; 0 where it is another one, or none, or where it is unclear."""
    chosen = chosen_letters(completion, spec.letters)
    read = ", ".join(sorted(chosen)) or None
    if chosen == {answer.strip()}:
        return Verdict(1.0, "The chosen letter is right.", read=read)
    if read is None:
        return wrong(f"No letter out of {spec.letters} is chosen.", answer, completion)
    if len(chosen) > 1:
        return wrong("It is unclear which letter is chosen: several are named.", answer, read, read)
    return wrong("The chosen letter is wrong.", answer, read, read)


def _answer(problem: Problem) -> str:
    if problem.answer is None:
        raise JobError("verifier_failed", f"Problem {problem.id} has no answer to verify by.", "task")
    return problem.answer
