"""Amounts as people write them, and sums, products, fractions and powers of them: exact, and without `eval`."""

import re
from fractions import Fraction

MOST_DIGITS = 400
"""digits of a number, and powers of ten: past the largest float (1e308), and cheap to compute with exactly"""
MOST_BITS = 4 * MOST_DIGITS
"""of a numerator or a denominator on the way"""
MOST_DEPTH = 20
"""of brackets"""

_DECIMALS = r"(?:\.\d+)?"
AMOUNT = (
    rf"(?:[1-9]\d{{0,2}}(?:,\d{{3}})+(?![\d]|,\d){_DECIMALS}"  # 1,234,567.8
    rf"|[1-9]\d?(?:,\d{{2}})+,\d{{3}}(?![\d]|,\d){_DECIMALS}"  # 1,50,000
    r"|[1-9]\d{0,2}(?:[ ']\d{3})+(?![\d']|[ ]\d)(?:[.,]\d+(?!\d|,\d))?"  # 9 500 and 9'500
    r"|[1-9]\d{0,2}(?:\.\d{3})+,\d+(?!\d|,\d)"  # 1.234,5
    r"|[1-9]\d{0,2}(?:\.\d{3}){2,}(?![\d]|[.,]\d)"  # 1.234.567
    r"|(?<!\d,)(?<![\[({]\d,)(?:0,\d+|\d+,(?:\d{1,2}|\d{4,})|\d{4,},\d{3})(?!\d|[.,]\d)(?![\])}])"  # 2,74 and 0,111
    rf"|\d+{_DECIMALS}|\.\d+)"
)
"""An amount. A comma is the decimal sign where it cannot separate thousands: two digits follow it, or a zero leads."""

_GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?")
_POINTS = re.compile(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}")
_TOKEN = re.compile(rf"\s*(?:(?P<whole>\d+)\s+(?=\d+\s?/\s?\d))?(?P<amount>{AMOUNT})(?:[eE](?P<e>[-+]?\d+)(?![\w.]))?")
_SPACE = re.compile(r"\s*")


class NotANumber(ValueError):
    """A text cannot be read as an arithmetic expression."""


def amount(text: str) -> Fraction:
    """Return the value of a text that matches `AMOUNT`."""
    text = text.replace(" ", "").replace("'", "")
    if _GROUPED.fullmatch(text):
        return Fraction(text.replace(",", ""))
    if _POINTS.fullmatch(text):
        text = text.replace(".", "")
    return Fraction(text.replace(",", "."))


def value_of(text: str) -> Fraction | None:
    """Return the value of a whole arithmetic expression; None where it is anything else."""
    try:
        value, end = leading_value(text)
    except NotANumber:
        return None
    return value if not text[end:].strip() else None


def leading_value(text: str, at: int = 0) -> tuple[Fraction, int]:
    """Return the value of the longest expression that begins at a place, and where it ends.

    Raises:
        NotANumber: none begins there, or it divides by zero or is of absurd size.
    """
    reader = _Reader(text, at)
    return reader.sum(0), reader.at


class _Reader:
    def __init__(self, text: str, at: int) -> None:
        self._text, self.at = text, at

    def sum(self, depth: int) -> Fraction:
        value = self._product(depth)
        while operator := self._operator("+-"):
            place, self.at = self.at, operator
            try:
                more = self._product(depth)
            except NotANumber:
                self.at = place
                break
            value = _limited(value + more if self._text[operator - 1] == "+" else value - more)
        return value

    def _product(self, depth: int) -> Fraction:
        value = self._power(depth)
        while operator := self._operator("*/"):
            place, self.at = self.at, operator
            try:
                more = self._power(depth)
            except NotANumber:
                self.at = place
                break
            if self._text[operator - 1] == "/" and not more:
                raise NotANumber
            value = _limited(value * more if self._text[operator - 1] == "*" else value / more)
        return value

    def _power(self, depth: int) -> Fraction:
        sign = 1
        while operator := self._operator("+-"):
            self.at = operator
            sign = -sign if self._text[operator - 1] == "-" else sign
        base = self._atom(depth)
        if operator := self._operator("^"):
            self.at = operator
            exponent = self._power(depth)
            size = max(base.numerator.bit_length(), base.denominator.bit_length())
            if exponent.denominator != 1 or abs(exponent) * size > MOST_BITS or (not base and exponent < 0):
                raise NotANumber
            base **= int(exponent)
        return sign * base

    def _atom(self, depth: int) -> Fraction:
        opening = self._operator("(")
        if opening and depth < MOST_DEPTH:
            self.at = opening
            value = self.sum(depth + 1)
            closing = self._operator(")")
            if not closing:
                raise NotANumber
            self.at = closing
            return value
        found = _TOKEN.match(self._text, self.at)
        if found is None or len(found[0]) > MOST_DIGITS or abs(int(found["e"] or 0)) > MOST_DIGITS:
            raise NotANumber
        self.at = found.end()
        value = amount(found["amount"]) * Fraction(10) ** int(found["e"] or 0)
        if found["whole"] is None:
            return value
        self.at = self._operator("/") or self.at
        below = self._atom(depth)
        if not below:
            raise NotANumber
        return int(found["whole"]) + value / below

    def _operator(self, which: str) -> int:
        """Return the place after an operator that is next; 0 where none of these is."""
        space = _SPACE.match(self._text, self.at)
        at = space.end() if space else self.at
        return at + 1 if self._text[at : at + 1] and self._text[at] in which else 0


def _limited(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise NotANumber
    return value
