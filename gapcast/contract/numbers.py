"""Numbers as people and models write them, read exactly and without `eval`.

Used where a task file is checked and where a completion is scored, so that an answer which was accepted can be met.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from gapcast.contract.arithmetic import AMOUNT, MOST_DIGITS, NotANumber, amount, leading_value, value_of
from gapcast.contract.notation import OPAQUE, SYMBOL, plain

TAIL = 10_000
"""characters at a text's end that are searched first: an answer stands there, and a megabyte is not read for it"""
LONGEST = 1000
"""characters of a text that is a number as a whole, with its unit and a remark"""
ROUNDING = 1e-5
"""A smaller tolerance forgives the rounding of decimals alone; a larger one is meant for whole numbers too"""
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
"""words after a number, and their powers of ten"""

NO_BLANKS = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uff01-\uff60"
"""letters of scripts that are written without blanks, as in a set of characters: `答案是42。` holds a number"""
LETTER = rf"[^\W{NO_BLANKS}]"
"""a letter, digit or underscore of the other scripts"""

_SCALE = rf"(?:\s?(?P<scale>(?i:{'|'.join(SCALES)}))(?!\w))?"
_PERCENT = r"(?P<percent>\s?\\?%|\s?(?i:per\s?cent|pct)(?!\w))?"
_NUMBER = re.compile(
    # not inside a word (`x1`, `x_{1}`), an exponent of a unit (`m^2`, `s^{-1}`) or the tail of `1.2.3`
    rf"(?<!{LETTER})(?<!\^)(?<!\^-)(?<!\^\{{)(?<!\^\{{-)(?<!_\{{)(?<!\d\.)"
    r"(?P<sign>(?<![)\]}])[-+](?:[$€£¥₹]\s?)?)?"
    r"(?:(?P<whole>\d+)\s(?=\d+/\d))?"
    rf"(?P<number>{AMOUNT})"
    rf"(?:[eE](?P<e>[-+]?\d+)(?!\w)"
    r"|\s?[x*]\s?10\s?\^\s?(?:[{(](?P<ten>[-+]?\d+)[})]|(?P<ten_>[-+]?\d+))"
    r"|\^(?:[{(](?P<power>-?\d+)[})]|(?P<power_>-?\d+)(?![\d/]))"
    rf"|\s?/\s?(?P<under>-?{AMOUNT})(?!/))?"
    rf"{_SCALE}{_PERCENT}(?P<more>\s?[{OPAQUE}{SYMBOL}]|\^)?"
    rf"|{OPAQUE}"
)
_RELATION = re.compile("[<>±]")
_CURRENCY = re.compile(r"[$€£¥₹₩₽]|\b(?:USD|EUR|GBP|Rs\.?|dollars?\b(?=\s*$))")
_REMARK = re.compile(r"(?<=[\s\w])\s\(\s*[^\W\d_]{2}[^()]*\)?$")
_SEVERAL = re.compile(r"[,;]|\b(?:and|or)\b")
_EXPRESSION = re.compile(r"[+*/^]|-|\d\s?[^\W\d_]")
_INSIDE = re.compile(r"\([^()]*\)")
_PREFIX = re.compile(r"[^\d(+.\-]*")
_WORDS = re.compile(rf"(?:[^\W\d_]+(?:[\s:]+|(?<=[{NO_BLANKS}]))|\s|:)*")
_COMPARED = re.compile(r"\b(?:not|than|least|most|below|above|under|over|between|except|no|plus|minus|or|and)\b", re.I)
_BEHIND = re.compile(rf"\s*(?:\(?{_SCALE}\)?)?{_PERCENT}")
_UNIT = re.compile(r"(?!\s*(?:and|or|to|x)\b)(?:[^\W\d_]|[\s/*'\"-]|\^\s*\(?-?\d\)?)*[.!]?\s*", re.I)
_ALONE = re.compile(r"\s*(?P<letter>[^\W\d_])(?![^\W\d_])")
UNIT_LETTERS = frozenset("mgshlLNJWVAKCFΩµ") | {"\N{GREEK SMALL LETTER MU}"}
"""units of one letter; any other letter after a number is a variable, as in `2x`"""
_LEAD = re.compile(
    r"(?:[\s*_`\"'$:=≈~\[({]|(?i:about|approximately|approx\.|roughly|exactly|just|only|simply|therefore|thus|equal to|"
    r"a total of|equals)\b|(?<![\w])[a-zA-Z]\s?(?=[=≈]))*"
)
_OTHERS = re.compile(r"\s*(?:(?i:or|and|to)\b|,|;)\s*[$€£¥₹(]?-?\d")


@dataclass(frozen=True)
class Number:
    """A number with what stood around it."""

    value: Fraction
    """As written: 50 for `50%`, 1.5 for `1.5 million`."""
    percent: bool
    text: str
    scale: int = 0
    """Power of ten of a word after it: 6 for `million`."""

    def equals(self, other: "Number", relative_tolerance: float) -> bool:
        """Return True if this is `other` within that share of it; whole numbers that are not rounded must be equal.

        Where only one of the two has a percent sign, `50%` is both 50 and 0.5; `1.5 million` likewise.
        """
        theirs = other.value * 10**other.scale
        readings = {self.value * 10**self.scale}
        if bool(self.scale) != bool(other.scale):
            readings.add(self.value * (1 if self.scale else 10**other.scale))
        if self.percent != other.percent:
            readings |= {value / 100 if self.percent else value * 100 for value in readings}
        allowed = Fraction(relative_tolerance) * abs(theirs)
        return any(
            value == theirs
            or (
                abs(value - theirs) <= allowed
                and (relative_tolerance > ROUNDING or theirs.denominator > 1 or value.denominator > 1)
            )
            for value in readings
        )


def last_number(text: str) -> Number | None:
    """Return the last number in a text; None when it has none that can be read."""
    tail = text[-TAIL:] if len(text) <= TAIL else text[-TAIL:].partition(" ")[2]
    found = _last(tail)
    if found is None and len(text) > TAIL:
        found = _last(text)
    return None if found is None else _read(found)


def parse_number(text: str) -> Number | None:
    r"""Return the number that a whole text is; None if it is anything else.

    What may stand around it: dollars and other currencies, LaTeX, `x =`, words before it, a unit and a remark in
    brackets after it. A sum, product, fraction or power of numbers counts as its value.
    """
    if len(text) > LONGEST:
        return None
    shown = text.strip()
    text = plain(shown).replace("{", "(").replace("}", ")")
    text = " ".join(text.split()).strip('*`"_ ')
    if any(character.isdigit() for character in text.split(" (")[0]):
        text = _REMARK.sub("", text)
    text = _CURRENCY.sub(" ", text)
    if _RELATION.search(text):
        return None
    for part in text.split("≈"):  # an exact value comes before its approximation
        *left, right = part.rstrip("= ").split("=")
        if not all(_is_name(name) or value_of(name) is not None for name in left):
            return None
        found = _whole(right.strip())
        if found is not None:
            return Number(found.value, found.percent, shown, found.scale)
    return None


def stated_number(text: str) -> Number | None:
    """Return the number that a statement gives, `42` of `42 (see step 3)`; else the last one in it."""
    text = plain(text).replace("{", "(").replace("}", ")")
    lead = _LEAD.match(text)
    start = lead.end() if lead else 0
    if not re.match(r"[-+]?\s?[$€£¥₹]?\s?[\d.]", text[start:]):
        return last_number(text)
    text = _CURRENCY.sub(" ", text[start - 1 if text[start - 1 : start] == "(" else start :])
    try:
        value, end = leading_value(text)
        while text[end:].lstrip(" $*)")[:1] == "=":
            value, end = leading_value(text, text.index("=", end) + 1)
    except NotANumber:
        return None
    behind = _BEHIND.match(text, end)
    end = behind.end() if behind else end
    if _OTHERS.match(text, end) or re.match(rf"\s?[{OPAQUE}{SYMBOL}^]", text[end:]) or _is_variable(text[end:]):
        return None
    percent, scale = (behind["percent"] is not None, _power(behind["scale"])) if behind else (False, 0)
    return Number(value, percent, text[:end].strip(" $*_`"), scale)


def _whole(text: str) -> Number | None:
    prefix = _PREFIX.match(text)
    start = prefix.end() if prefix else 0
    words = text[:start].replace("*", "")
    if not _WORDS.fullmatch(words) or _COMPARED.search(words):
        return None
    try:
        value, end = leading_value(text, start)
    except NotANumber:
        return None
    behind = _BEHIND.match(text, end)
    percent, scale = (behind["percent"] is not None, _power(behind["scale"])) if behind else (False, 0)
    rest = text[behind.end() if behind else end :]
    if not _UNIT.fullmatch(rest) or _is_variable(rest):
        return None
    return Number(value, percent, text, scale)


def _is_name(left: str) -> bool:
    """True if what stands before an equals sign is a name or words: `x`, `f(2)`, `Total`; not `2x + z`, `x = 1, y`."""
    outside = _INSIDE.sub("", left)
    return not _SEVERAL.search(outside) and not _EXPRESSION.search(outside)


def _is_variable(rest: str) -> bool:
    """True if what follows a number is a letter that is not a unit's: `2x`."""
    alone = _ALONE.match(rest)
    if alone is None or re.match(NO_BLANKS.join("[]"), alone["letter"]):
        return False
    return alone["letter"] not in UNIT_LETTERS and not rest.startswith(" a ")


def _last(text: str) -> re.Match[str] | None:
    found: Iterator[re.Match[str]] = _NUMBER.finditer(plain(text))
    last = deque(found, maxlen=1)
    return last[0] if last else None


def _power(scale: str | None) -> int:
    return SCALES[scale.lower()] if scale else 0


def _read(found: re.Match[str]) -> Number | None:
    """Return the exact value; None for a part of something else, a division by zero and numbers of absurd size."""
    part = found.groupdict()
    if len(found[0]) > MOST_DIGITS or part["number"] is None or part["more"] is not None:
        return None
    power = int(part["power"] or part["power_"] or 0)
    raised = part["power"] is not None or part["power_"] is not None
    exponent = int(part["e"] or part["ten"] or part["ten_"] or 0)
    if abs(exponent) > MOST_DIGITS or abs(power) * len(part["number"]) > MOST_DIGITS:
        return None
    value = amount(part["number"])
    divisor = part["under"] or "1"
    under = amount(divisor.lstrip("-")) * (-1 if divisor.startswith("-") else 1)
    if under == 0 or (value == 0 and power < 0):
        return None
    if raised:
        value **= power
    value = (value / under + int(part["whole"] or 0)) * Fraction(10) ** exponent
    negative = (part["sign"] or "").startswith("-")
    return Number(-value if negative else value, part["percent"] is not None, found[0].strip(), _power(part["scale"]))
