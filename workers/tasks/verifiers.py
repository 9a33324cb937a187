"""Verifiers: each scores one completion of one problem and says what is wrong with it (OPSD.md, Tasks).

A note never holds the expected answer; the failing case does, and a context decides whether to show it.
"""

import re
from collections import deque
from collections.abc import Callable

import regex

from gapcast.contract.numbers import last_number, parse_number
from gapcast.contract.problems import ChoiceVerifier, NumericVerifier, RegexVerifier, Verifier
from workers.failures import JobError
from workers.tasks.json_answers import JsonAnswers
from workers.tasks.patterns import python_pattern
from workers.tasks.plugins import Plugin
from workers.tasks.protocol import Problem, Verdict, wrong

MOST_BOXED = 1000
r"""characters of a `\boxed{}` that are read: an answer is short, and a completion may be cut off inside one"""
REGEX_SECONDS = 1.0
"""processor seconds that one match may take: an ordinary pattern needs milliseconds for a megabyte"""

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
        case "regex":
            return lambda problem, completion: matches(completion, problem, spec)
        case "python_tests":
            from workers.tasks.python_tests import verify_python  # only such a task needs the sandbox

            return lambda problem, completion: verify_python(completion, problem.tests, problem.fn_name, spec)
        case "json_schema":
            return JsonAnswers(spec)
        case "plugin":
            return Plugin(spec)


def exact(completion: str, answer: str) -> Verdict:
    """1 where the completion is the answer, surrounding white space aside; else 0."""
    if completion.strip() == answer.strip():
        return Verdict(1.0, "The answer is right.")
    return wrong("The completion is not exactly the expected text.", answer, completion)


def numeric(completion: str, answer: str, spec: NumericVerifier) -> Verdict:
    r"""1 where the number in the last `\boxed{}`, or without one the last number, equals the answer."""
    expected = parse_number(answer)
    if expected is None:
        raise JobError("verifier_failed", f"The answer {answer[:100]!r} is no number.", "task")
    boxed = last_boxed(completion)
    got = last_number(completion if boxed is None else boxed)
    if got is None:
        place = "completion" if boxed is None else r"last \boxed{}"
        return wrong(f"There is no number in the {place}.", answer, completion)
    if got.equals(expected, spec.relative_tolerance):
        return Verdict(1.0, "The number is right.")
    place = "last number" if boxed is None else r"number in the last \boxed{}"
    return wrong(f"The {place} is wrong.", answer, got.text)


def choice(completion: str, answer: str, spec: ChoiceVerifier) -> Verdict:
    """1 where the chosen letter is the answer; 0 where it is another one, or none, or where it is unclear."""
    chosen = chosen_letters(completion, spec.letters)
    if chosen == {answer.strip()}:
        return Verdict(1.0, "The chosen letter is right.")
    if not chosen:
        return wrong(f"No letter out of {spec.letters} is chosen.", answer, completion)
    if len(chosen) > 1:
        return wrong("It is unclear which letter is chosen: several are named.", answer, ", ".join(sorted(chosen)))
    return wrong("The chosen letter is wrong.", answer, *chosen)


def chosen_letters(completion: str, letters: str) -> set[str]:
    r"""The letters that a completion may have chosen: exactly one where it is clear.

    The first of these that is there decides: the last `\boxed{}`; nothing but a letter; the last "answer is"; the last
    line with letters in brackets; the last line with lone capital letters.
    """
    one = f"[{letters}]"
    boxed = last_boxed(completion)
    final = (completion if boxed is None else boxed).strip("()*.:$ \n").upper()
    if len(final) == 1 and final in letters:
        return {final}
    if boxed is not None:
        named = re.match(rf"(?:\\\w{{1,10}}\{{|[\s({{*])*({one})(?![\w'])", boxed)
        return {named[1]} if named else set()
    statements = re.finditer(
        rf"(?i:\b(?:answer|choose|pick|select|correct (?:option|choice|letter))\b(?:\s(?:is|are))?)"
        rf"[\s:*$(\[\\]{{0,8}}(?i:(?:option|choice|letter)\s)?[*$(\[]{{0,4}}({one})(?![\w'])"
        rf"(?:[\s,*)\]]{{0,4}}(?:or|and|/)[\s*(\[]{{0,4}}({one})(?![\w']))?",
        completion,
    )
    last = deque(statements, maxlen=1)
    if last:
        return {letter for letter in last[0].groups() if letter}
    # a capital before a small word is an article or a pronoun ("A good one", "I think"), unless it is spoken of
    lone = rf"(?<![\w'])({one})(?![\w'])(?!\s(?!(?:is|because|since|and|or)\b)[a-z])"
    for pattern in (rf"[(\[]({one})[)\]]", lone):
        for line in reversed(completion.splitlines()):
            found = set(re.findall(pattern, line))
            if found:
                return found
    return set()


def matches(completion: str, problem: Problem, spec: RegexVerifier) -> Verdict:
    """1 where the answer, a regular expression, matches the completion; 0 also where matching takes too long."""
    pattern = _answer(problem)
    try:
        compiled = regex.compile(python_pattern(pattern), regex.IGNORECASE if spec.ignore_case else 0)
        match = compiled.fullmatch if spec.whole else compiled.search
        found = match(completion.strip(), timeout=REGEX_SECONDS, concurrent=True)
    except TimeoutError:
        note = f"Matching the pattern took more than {REGEX_SECONDS:g} s and was stopped: it backtracks too much."
        return wrong(note, pattern, completion)
    except (regex.error, RecursionError) as error:
        message = f"Problem {problem.id}: its answer is not a regular expression: {error}"
        raise JobError("verifier_failed", message, "task") from error
    if found:
        return Verdict(1.0, "The completion matches.")
    part = "completion" if spec.whole else "completion, or any part of it,"
    return wrong(f"The {part} does not match the expected pattern.", pattern, completion)


def last_boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{}`, cut where it is too long or never closed; null where there is none."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    inside = text[start + len("\\boxed{") :][:MOST_BOXED]
    depth = 1
    for place, character in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return inside[:place]
    return inside


def _answer(problem: Problem) -> str:
    if problem.answer is None:
        raise JobError("verifier_failed", f"Problem {problem.id} has no answer to verify by.", "task")
    return problem.answer
