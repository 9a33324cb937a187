r"""Numbers' notations as plain text: LaTeX, Unicode and full-width signs become `1/2`, `-3`, `2^10`, `9 500`.

`plain` never fails: it leaves alone what it does not know, so that a text can be searched for numbers.
"""

import re
from fractions import Fraction
from math import isqrt

from gapcast.contract.arithmetic import value_of

OPAQUE = "\ue000"
r"""stands for an expression that is not a rational number, such as `\sqrt{3}`: its digits are not read as one"""
SYMBOL = "\ue001"
"""stands for a constant or a function: a number beside it is a part of something else"""
PASSES = 4
"""fractions within fractions that are read, from the inside out"""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_FRACTIONS = {
    **{"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5"},
    **{"⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8"},
}
_CHARACTERS = str.maketrans(
    dict.fromkeys("−–‒‐‑﹣－", "-")
    | dict.fromkeys("\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " ")
    | dict.fromkeys("\u200b\u2060\ufeff", "")
    | dict.fromkeys("×·⋅∙∗＊", "*")
    | dict.fromkeys("÷⁄∕／", "/")
    | dict.fromkeys("≃≅∼", "≈")
    | dict.fromkeys("≤≥≠＜＞", "<")
    | dict.fromkeys("πθφ∞√ℯ", SYMBOL)
    | {"．": ".", "＝": "=", "＋": "+", "％": "%", "＄": "$", "’": "'", "°": " deg ", "（": "(", "）": ")"}
    | {character: f" {text} " for character, text in _FRACTIONS.items()}
)
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
_OTHER_DIGIT = re.compile(r"[^\x00-\x7f]")

_ARGUMENT = r"\s*(?:\{([^{}]{0,100})\}|([0-9]))"
_FRACTION = re.compile(rf"\\[dtc]?frac{_ARGUMENT}{_ARGUMENT}")
_BROKEN_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{[^{}]{0,100}\}|\w|\\\w+)\s*(?:\{[^{}]{0,100}\}|\w|\\\w+)")
_ROOT = re.compile(r"\\sqrt\s*(\[[^\]]{1,10}\]\s*)?(?:\{([^{}]{0,100})\}|(\d))")
_WRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|mathrm|mathbf|mathit|mathsf|mathbb|mbox|hbox|operatorname|boldsymbol|bm|"
    r"underline|boxed|fbox)\s*\{([^{}]{0,200})\}"
)
_COMMANDS = (
    (re.compile(r"\\!"), ""),
    (re.compile(r"(?<=\d)\{,\}(?=\d)"), ","),
    (re.compile(r"\\[,;:> ]|\\q?quad(?![a-zA-Z])|~"), " "),
    (re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\\(?:degree|celsius)(?![a-zA-Z])"), " deg "),
    (re.compile(r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits|textstyle)(?![a-zA-Z])"), ""),
    (re.compile(r"\\(?:times|cdot|ast)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])"), "/"),
    (re.compile(r"\\(?:approx|simeq|sim|cong|doteq)(?![a-zA-Z])"), "≈"),
    (re.compile(r"\\equiv(?![a-zA-Z])"), "="),
    (re.compile(r"\\(?:leq?|geq?|lt|gt|neq?|leqslant|geqslant|in)(?![a-zA-Z])"), "<"),
    (re.compile(r"\\(?:pm|mp)(?![a-zA-Z])"), "±"),
    (re.compile(r"\\([$%#&])"), r"\1"),
    (re.compile(r"\\[{}|]"), "["),
    (
        re.compile(
            r"\\(?:pi|theta|phi|alpha|beta|gamma|lambda|mu|sigma|omega|infty|ln|log|sin|cos|tan|exp|sum|prod|int|"
            r"[dt]?binom|sqrt|[dtc]?frac)(?![a-zA-Z])"
        ),
        SYMBOL,
    ),
    (re.compile(r"\\[()\[\]]"), " $ "),
    (re.compile(r"\\\\|\\[a-zA-Z]+"), " "),
)


def plain(text: str) -> str:
    """Return a text with the notations of numbers as plain ASCII, in linear time."""
    if not text.isascii():
        text = _SUPERSCRIPT.sub(lambda found: f"^{found[0].translate(_SUPERSCRIPTS)}", text).translate(_CHARACTERS)
        text = _OTHER_DIGIT.sub(lambda found: _ascii_digit(found[0]), text)
    if "\\" not in text and "{" not in text:
        return text
    for pattern, replacement in _COMMANDS[:6]:
        text = pattern.sub(replacement, text)
    for _ in range(PASSES):
        before = text
        text = _WRAPPED.sub(r" \1 ", text)
        text = _ROOT.sub(_root, text)
        text = _FRACTION.sub(_slashed, text)
        if text == before:
            break
    text = _BROKEN_FRACTION.sub(OPAQUE, text)
    for pattern, replacement in _COMMANDS[6:]:
        text = pattern.sub(replacement, text)
    return text


def _ascii_digit(character: str) -> str:
    return str(int(character)) if character.isdecimal() else character


def _slashed(found: re.Match[str]) -> str:
    """Return `1/2` where both parts are numbers, so that it reads like a fraction that was typed; else `OPAQUE`."""
    above, below = found[1] or found[2] or "", found[3] or found[4] or ""
    parts = [value_of(_grouped(plain(part))) for part in (above, below)]
    if parts[0] is None or not parts[1]:
        return OPAQUE
    value = parts[0] / parts[1]
    whole = all(part is not None and part.denominator == 1 for part in parts)
    # 1 4/2 is three: what is a mixed number's fraction keeps its own parts
    above, below = (abs(parts[0]), abs(parts[1])) if whole else (abs(value.numerator), value.denominator)
    made = f"{above}/{below}"
    before, after = found.string[: found.start()].rstrip()[-1:], found.string[found.end() :].lstrip()[:1]
    if value < 0:
        return f"(-{made})" if before.isdigit() or before in set("-+*/^") or after == "^" else f"-{made}"
    if before in set("/^") or after == "^":
        return f"({made})"
    return f"{' ' if before.isdigit() else ''}{made}{' ' if after.isdigit() else ''}"


def _root(found: re.Match[str]) -> str:
    """Return the root of a square number, else `OPAQUE`."""
    value = value_of(_grouped(plain(found[2] or found[3] or "")))
    before = found.string[: found.start()].rstrip()[-1:]
    if found[1] or before.isalnum() or value is None or value < 0:
        return OPAQUE
    root = Fraction(isqrt(value.numerator), isqrt(value.denominator))
    return str(root) if root * root == value else OPAQUE


def _grouped(text: str) -> str:
    return text.replace("{", "(").replace("}", ")")
