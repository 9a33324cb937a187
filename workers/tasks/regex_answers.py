"""The verifier `regex`: the answer is a pattern that a completion matches."""

import regex

from gapcast.contract.problems import RegexVerifier
from workers.failures import JobError
from workers.tasks.patterns import python_pattern
from workers.tasks.protocol import Verdict, wrong

REGEX_SECONDS = 1.0
"""processor seconds that one match may take: an ordinary pattern needs milliseconds for a megabyte"""


def matches(completion: str, problem_id: str, pattern: str, spec: RegexVerifier) -> Verdict:
    """1 where the answer, a regular expression, matches the completion; 0 also where matching takes too long."""
    try:
        compiled = regex.compile(python_pattern(pattern), regex.IGNORECASE if spec.ignore_case else 0)
        match = compiled.fullmatch if spec.whole else compiled.search
        found = match(completion.strip(), timeout=REGEX_SECONDS, concurrent=True)
    except TimeoutError:
        note = f"Matching the pattern took more than {REGEX_SECONDS:g} s and was stopped: it backtracks too much."
        return wrong(note, pattern, completion)
    except (regex.error, RecursionError) as error:
        message = f"Problem {problem_id}: its answer is not a regular expression: {error}"
        raise JobError("verifier_failed", message, "task") from error
    if found:
        return Verdict(1.0, "The completion matches.")
    part = "completion" if spec.whole else "completion, or any part of it,"
    return wrong(f"The {part} does not match the expected pattern.", pattern, completion)
