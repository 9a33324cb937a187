"""Numbers as people and models write them, read exactly and without `eval`.

Used where a task file is checked and where a completion is scored, so that an answer which was accepted can be met.
"""

import re
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

MOST_DIGITS = 400
"""digits of a number, and powers of ten: past the largest float (1e308), and cheap to compute with exactly"""
TAIL = 10_000
"""characters at a text's end that are searched first: an answer stands there, and a megabyte is not read for it"""

_PLAIN = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_NUMBER = re.compile(
    # not inside a word (`x1`, `x_{1}`), an exponent of a unit (`m^2`, `s^{-1}`) or the tail of `1.2.3`
    r"(?<![\w^])(?<!\^-)(?<!\^\{)(?<!\^\{-)(?<!_\{)(?<!\d\.)"
    r"(?P<sign>(?<![)\]}])[-+](?:\\?[$€£¥]\s?)?)?"
    r"(?:(?P<whole>\d+)\s(?=\d+/\d))?"
    rf"(?P<number>{_PLAIN})"
    r"(?:[eE](?P<e>[-+]?\d+)(?!\w)"
    r"|\s?(?:\\times|\\cdot|[x\u00d7*\u00b7])\s?10\s?\^\s?\{?(?P<ten>[-+]?\d+)\}?"
    r"|\^\{?(?P<power>-??\d+)\}?"
    rf"|\s?/\s?(?P<under>{_PLAIN})(?!/))?"
    r"(?P<percent>\s?\\?%)?"
)
_FRACTION = re.compile(r"(\d?)\\[dt]?frac\s?(?:\{([^{}]{1,100})\}\s?\{([^{}]{1,100})\}|(\d)(\d))")
_THIN_SPACE = re.compile(r"(?<=\d)\\[,!](?=\d)")


@dataclass(frozen=True)
class Number:
    """A number with what stood around it."""

    value: Fraction
    """As written: 50 for `50%`."""
    percent: bool
    text: str

    def equals(self, other: "Number", relative_tolerance: float) -> bool:
        """Return True if this is `other` within that share of it.

        Where only one of the two has a percent sign, `50%` is both 50 and 0.5.
        """
        allowed = Fraction(relative_tolerance) * abs(other.value)
        values = [self.value]
        if self.percent != other.percent:
            values.append(self.value / 100 if self.percent else self.value * 100)
        return any(abs(value - other.value) <= allowed for value in values)


def last_number(text: str) -> Number | None:
    """Return the last number in a text; None when it has none that can be read."""
    tail = text[-TAIL:] if len(text) <= TAIL else text[-TAIL:].partition(" ")[2]
    return _last(tail) or (_last(text) if len(text) > TAIL else None)


def parse_number(text: str) -> Number | None:
    """Return the number that the whole text is, white space and a currency sign aside; None if it is anything else."""
    found = _NUMBER.fullmatch(_simple(text.strip().lstrip("$€£¥")))
    return _read(found) if found else None


def _last(text: str) -> Number | None:
    last = deque(_NUMBER.finditer(_simple(text)), maxlen=1)
    return _read(last[0]) if last else None


def _simple(text: str) -> str:
    """Return a text with a plain minus, and LaTeX's thousands separators and fractions as plain text."""
    text = text.replace("\N{MINUS SIGN}", "-")
    if "\\" not in text and "{" not in text:
        return text
    return _FRACTION.sub(_slashed, _THIN_SPACE.sub("", text.replace("{,}", ",")))


def _slashed(fraction: re.Match[str]) -> str:
    whole, above, below, above_digit, below_digit = fraction.groups()
    space = " " if whole else ""
    return f"{whole}{space}{above or above_digit}/{below or below_digit}"


def _read(found: re.Match[str]) -> Number | None:
    """Return the exact value; None for a division by zero and for numbers of absurd size."""
    if len(found[0]) > MOST_DIGITS:
        return None
    part = found.groupdict()
    power = int(part["power"] or 0)
    exponent = int(part["e"] or part["ten"] or 0)
    if abs(exponent) > MOST_DIGITS or abs(power) * len(part["number"]) > MOST_DIGITS:
        return None
    value = Fraction(part["number"].replace(",", ""))
    under = Fraction((part["under"] or "1").replace(",", ""))
    if under == 0 or (value == 0 and power < 0):
        return None
    if part["power"] is not None:
        value **= power
    value = (value / under + int(part["whole"] or 0)) * Fraction(10) ** exponent
    negative = (part["sign"] or "").startswith("-")
    return Number(-value if negative else value, part["percent"] is not None, found[0].strip())
