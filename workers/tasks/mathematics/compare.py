"""Formulas that are read and compared by the library math-verify; runs in a process of its own."""

import logging
import re
from typing import Any

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

from gapcast.contract.numbers import parse_number
from workers.tasks.answers.stated import last_boxed

logging.disable(logging.WARNING)  # the library warns that nobody limits its time: the process's owner does

_CONFIGURATION = (LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig())
_DELIMITED = re.compile(r"\$|\\\(|\\\[|\\boxed")
_FORMULA = re.compile(r"[\\^_{}()\[\]<>=]|(?<![a-zA-Z])[a-zA-Z](?![a-zA-Z])")
"""signs of a formula, or a letter by itself: what has none is a number or a word"""
MOST_FORMULA = 1000
"""characters of a text that may be one formula without delimiters"""


def compare(gold: str, completion: str, digits: int, *, whole: bool) -> dict[str, Any]:
    """Compare a completion with the expected answer; `whole`: the completion is nothing but its answer.

    Returns:
        gold: False if the expected answer cannot be read. equal: True if they are equal as mathematics, numbers to
        that many decimal digits. read: the completion's formula as it was read; None if there is none.
    """
    expected = _read(gold, whole=True)
    got = _read(completion, whole=whole or "\\" in completion)
    equal = bool(expected) and bool(got) and verify(expected, got, float_rounding=digits, timeout_seconds=None)
    return {"gold": bool(expected), "equal": bool(equal), "read": str(got[-1])[:2000] if got else None}


def _read(text: str, *, whole: bool) -> list[Any]:
    """Return the readings of a text; what is one formula without delimiters gets them."""
    formula = f"${text.strip().rstrip('.')}$"
    bare = len(text) <= MOST_FORMULA and not _DELIMITED.search(text)
    texts = [text, formula] if bare else [text]
    if bare and whole and (_FORMULA.search(text) or ("," in text and parse_number(text) is None)):
        texts.reverse()
    boxed = last_boxed(text)
    if boxed is not None:
        texts.append(f"${boxed}$")
    return next((found for found in map(_parse, texts) if found), [])


def _parse(text: str) -> list[Any]:
    found: list[Any] = parse(text, _CONFIGURATION, parsing_timeout=None)
    return found
