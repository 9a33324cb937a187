"""Whether two printed texts are the same answer."""

import re
from decimal import Decimal

NUMBER = re.compile(r"[+-]?(\d{1,1000}\.?\d{0,1000}|\.\d{1,1000})([eE][+-]?\d{1,3})?")
"""lengths are bounded so that comparing two numbers takes no time: what is longer is compared as text"""


def same_output(printed: str, expected: str) -> bool:
    """As LiveCodeBench compares: line by line, without white space at the ends of lines and of the whole.

    Where a line holds nothing but numbers they are compared by their exact value, so that `1.0` is `1`, and the white
    space between them does not count. There is no tolerance: a task whose answers are rounded has to say how.
    """
    left, right = (text.strip().split("\n") for text in (printed, expected))
    return len(left) == len(right) and all(map(_same_line, left, right))


def _same_line(left: str, right: str) -> bool:
    if left.strip() == right.strip():
        return True
    one, other = left.split(), right.split()
    if len(one) != len(other) or not all(NUMBER.fullmatch(word) for word in (*one, *other)):
        return False
    return list(map(Decimal, one)) == list(map(Decimal, other))
