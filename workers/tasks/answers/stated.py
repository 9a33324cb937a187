r"""Where a completion states its answer: `<answer>` tags, `\boxed{}`, `#### 12`, "the answer is 12"."""

import re
from collections import deque
from collections.abc import Iterator

from gapcast.contract.numbers import Number, last_number, parse_number, stated_number

MOST_BOXED = 1000
r"""characters of a `\boxed{}` that are read: an answer is short, and a completion may be cut off inside one"""
MOST_WHOLE = 100
"""characters of a completion that is nothing but a number, with a few words around it"""
MOST_STATED = 500
"""characters of a statement: a sentence or a line"""

STATED = frozenset({r"last \boxed{}", "last <answer>", "last line with ####", "stated answer"})
"""places that say what the answer is, even if it is not a number"""

_TAG = re.compile(r"<(?P<closes>/?)(?:final_?)?answer>", re.IGNORECASE)
_BOX = re.compile(r"\\(?:boxed|fbox)\s?\{")
BETWEEN = re.compile(r"[\s,;$.&]*(?:\band\b|\bor\b|和|或)?[\s,;$&]*", re.IGNORECASE)
"""what stands between two boxes that are one answer together"""
_HASHES = re.compile(r"^[ \t]*####[ \t]*(?P<answer>[^\n]{1,200})$", re.MULTILINE)
_STATEMENT = re.compile(
    r"(?P<final>(?i:\bfinal\s{1,3}))?"
    r"(?:(?i:\banswers?\b)(?:\s(?:to|of|for)\s[^.:\n=]{1,80}?)?|答案|答え|正解|정답|답)"
    r"(?P<link>[*_\"'”)\]]{0,4}\s{0,3}"
    r"(?:(?i:is|are|was|would be|must be|should be|will be|equals|becomes)\b|是|为|為|は|은|는)"
    r"[ \t]{0,3}[:：]?|[*_\"'”)\]]{0,4}\s{0,2}[:：=][*_]{0,3}|[*_#:： \t]{0,6}\n\s{0,3})"
)
_END = re.compile(r"[.!?](?=\s|$)|[。！？]|\n|$")
_MORE = re.compile(r"\d")
_REMARK = re.compile(r"\([^()]{0,200}\)|\[[^\[\]]{0,200}\]")


def tagged(completion: str) -> str | None:
    """Return the text of the last `<answer>`, to the end if it is never closed; None if there is none."""
    opening = closing = None
    for found in _TAG.finditer(completion):
        if not found["closes"]:
            opening, closing = found.end(), None
        elif closing is None and opening is not None:
            closing = found.start()
    return None if opening is None else completion[opening:closing].strip()


def boxes(completion: str) -> Iterator[tuple[int, int, str]]:
    r"""Yield each `\boxed{}` that is not inside another: where it begins and ends, and what is in it.

    One that is too long or never closed is cut.
    """
    after = 0
    for found in _BOX.finditer(completion):
        if found.start() >= after:
            inside = completion[found.end() : found.end() + MOST_BOXED]
            length = _balanced(inside)
            after = found.end() + length
            yield found.start(), min(after + 1, len(completion)), inside[:length]


def last_boxed(completion: str) -> str | None:
    r"""Return what stands in the last `\boxed{}`; None if there is none."""
    last = deque(boxes(completion), maxlen=1)
    return last[0][2] if last else None


def number(completion: str) -> tuple[Number | None, str]:
    r"""Return the number that a completion gives as its answer, None if it is not one, and where it was looked for.

    The first of these that exists decides: the last `<answer>`, within which the others are looked for; the last box,
    which has to be a number as a whole and not one of several (`\boxed{1}, \boxed{2}`), unless a "final answer is"
    comes after it; a short text that is a number as a whole; the last line `#### 12`; the last statement of the answer;
    the last number.
    """
    tag = tagged(completion)
    text = completion if tag is None else tag
    last = deque(boxes(text), maxlen=2)
    if last:
        found = parse_number(last[-1][2])
        if found and len(last) == 2 and BETWEEN.fullmatch(text[last[0][1] : last[1][0]]):
            before = parse_number(last[0][2])
            found = found if before and before.equals(found, 0) else None
        return _final(text[last[-1][1] :]) or (found, r"last \boxed{}")
    whole = parse_number(text) if len(text) <= MOST_WHOLE and "\n" not in text else None
    if whole is not None:
        return whole, "completion" if tag is None else "last <answer>"
    for line in reversed(deque(_HASHES.finditer(text), maxlen=8)):
        found = parse_number(line["answer"])
        if found is not None:
            return found, "last line with ####"
    place = "last number" if tag is None else "last <answer>"
    for statement in reversed(deque(_STATEMENT.finditer(text), maxlen=8)):
        clause = sentence(text, statement.end())
        if not _MORE.search(clause):
            continue
        verb = statement["link"].strip("*_\"'”)] \t\n:：=#") != ""
        if verb or statement["final"] or not _MORE.search(_REMARK.sub("", _after_first(clause))):
            return stated_number(clause), "stated answer"
    return last_number(text), place


def _final(text: str) -> tuple[Number | None, str] | None:
    """Return the number of a "final answer is", None if there is none."""
    for statement in reversed(deque(_STATEMENT.finditer(text), maxlen=8)):
        if statement["final"] and _MORE.search(clause := sentence(text, statement.end())):
            return stated_number(clause), "stated answer"
    return None


def sentence(text: str, start: int) -> str:
    """Return the sentence or line that begins at a place."""
    rest = text[start : start + MOST_STATED].lstrip()
    end = _END.search(rest)
    return rest[: end.start()] if end else rest


def _after_first(clause: str) -> str:
    """Return what follows the number that a clause begins with; the clause where it begins with something else."""
    found = re.match(r"[^\w]{0,12}\d[\d.,' ]*(?:/\d+)?", clause)
    return clause[found.end() :] if found else clause


def _balanced(inside: str) -> int:
    """Return how many characters stand before the closing brace."""
    depth = 1
    for place, character in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return place
    return len(inside)
