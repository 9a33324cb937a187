"""Whether two printed texts, or two results, are the same answer."""

import math
import re
from decimal import Decimal
from typing import Any

NUMBER = re.compile(r"[+-]?(\d{1,1000}\.?\d{0,1000}|\.\d{1,1000})([eE][+-]?\d{1,3})?")
"""lengths are bounded so that comparing two numbers takes no time: what is longer is compared as text"""
WHOLE = re.compile(r"[+-]?\d+")


def same_output(printed: str, expected: str, tolerance: float = 0.0) -> bool:
    """Return True if the texts are the same, as LiveCodeBench compares them.

    Lines are compared one by one, without white space at their ends and at the ends of the whole. Where a line holds
    nothing but numbers they are compared by their exact value, so that `1.0` is `1`, and the white space between them
    does not count. With a `tolerance` every word that is a number on both sides is a number, and may be so far away as
    `same_number` says, unless both are written as whole numbers.
    """
    left, right = (text.strip().split("\n") for text in (printed, expected))
    return len(left) == len(right) and all(_same_line(*lines, tolerance) for lines in zip(left, right, strict=True))


def _same_line(left: str, right: str, tolerance: float) -> bool:
    if left.strip() == right.strip():
        return True
    one, other = left.split(), right.split()
    if len(one) != len(other):
        return False
    if tolerance:
        return all(_same_word(*words, tolerance) for words in zip(one, other, strict=True))
    if not all(NUMBER.fullmatch(word) for word in (*one, *other)):
        return False
    return list(map(Decimal, one)) == list(map(Decimal, other))


def _same_word(left: str, right: str, tolerance: float) -> bool:
    if left == right:
        return True
    if not (NUMBER.fullmatch(left) and NUMBER.fullmatch(right)):
        return False
    if WHOLE.fullmatch(left) and WHOLE.fullmatch(right):
        return Decimal(left) == Decimal(right)
    numbers = float(left), float(right)
    return Decimal(left) == Decimal(right) or (all(map(math.isfinite, numbers)) and same_number(*numbers, tolerance))


def same_number(got: float, expected: float, tolerance: float) -> bool:
    """Return True if `got` is within `tolerance` of `expected`, or within that share of it, as in contests."""
    return got == expected or math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance)


def same_value(got: Any, expected: Any, tolerance: float = 0.0) -> bool:  # noqa: ANN401
    """Return True if two JSON values are equal; with a `tolerance` floats may differ as `same_number` says."""
    if not tolerance:
        return bool(got == expected)
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(map(lambda a, b: same_value(a, b, tolerance), got, expected))
    if isinstance(got, dict) and isinstance(expected, dict):
        return got.keys() == expected.keys() and all(same_value(got[key], expected[key], tolerance) for key in got)
    if isinstance(got, float | int) and isinstance(expected, float | int) and float in {type(got), type(expected)}:
        try:
            return same_number(got, expected, tolerance)
        except OverflowError:  # a whole number beyond every float
            return False
    return bool(got == expected)
