"""What is checked with `re` when a task is uploaded means the same when `regex` matches it in the worker."""

import re
import warnings
from contextlib import suppress

import pytest
import regex
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gapcast.contract.problems import JsonSchemaVerifier, RegexVerifier
from workers.tasks import Problem, Split, Verdict
from workers.tasks.json_answers import JsonAnswers
from workers.tasks.patterns import python_pattern
from workers.tasks.verifiers import verifier

ATOMS = [
    *("a", "b", ".", r"\d", r"\w", "[ab]", "[^a]", "(a)", "(?:b)", r"\b", "^", "$", r"\Z", "(?=a)", "(?<!b)", "a|b"),
    *("[[]", "[]a]", "[a&&b]", "[a||b]", "[a--b]", "[[:alpha:]]", r"[\[:]", r"\N{DIGIT ONE}", r"\x41", "(?>a)", r"\-"),
    *("{", "}", "{}", "{,}", "{,2}", "a{2", "a{1,2", "{e<=1}", "a{e<2}", "(?:a){e}", "{i}", r"\{e\}", "[{e}]"),
]
TEXTS = ["", "a", "ab", "b", "aa", "1", "{", "a{e}", "{e}", "{i}", "a||b", "A", "{}", "-", "[", ":", "l]", "a]"]


@given(pattern=st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(["", "*", "+?", "{2}"])), max_size=3))
@example(pattern=[("(?:a){e}", "")])
@example(pattern=[("[[:alpha:]]", "")])
def test_a_pattern_matches_what_python_says(pattern: list[tuple[str, str]]) -> None:
    text = "".join(atom + repetition for atom, repetition in pattern)
    expected = None
    with warnings.catch_warnings(), suppress(re.error):
        warnings.simplefilter("ignore", FutureWarning)
        expected = re.compile(text)
    assume(expected is not None)
    found = regex.compile(python_pattern(text))
    for given_text in TEXTS:
        assert bool(found.fullmatch(given_text)) is bool(expected and expected.fullmatch(given_text)), given_text


def scored(completion: str, answer: str) -> Verdict:
    return verifier(RegexVerifier())(Problem(id="p", split=Split.train, prompt="?", answer=answer), completion)


@pytest.mark.parametrize(("completion", "score"), [("x^{e}", 1), ("x^", 0), ("x^abc", 0)])
def test_the_verifier_takes_braces_as_they_are(completion: str, score: float) -> None:
    assert scored(completion, r"x\^{e}").score == score
    schema = JsonSchemaVerifier(json_schema={"pattern": r"^x\^{e}$"})
    assert JsonAnswers(schema)(Problem(id="p", split=Split.train, prompt="?"), f'"{completion}"').score == score
