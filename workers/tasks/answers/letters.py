"""The letter that a completion chooses."""

import re
from collections import deque
from functools import cache

from gapcast.contract.numbers import NO_BLANKS
from workers.tasks.answers.stated import BETWEEN, boxes, tagged

MOST_LINES = 200
"""lines from the end that are searched for a letter"""

_BEFORE = rf"(?<![^\W{NO_BLANKS}])(?<!['’])"
_AFTER = rf"(?![^\W{NO_BLANKS}]|['’]\w)"
_VERBS = (
    "is|are|was|it|because|since|and|or|must|would|should|seems|fits|holds|works|remains|as|due|by|but|not|only|"
    "correctly|best"
)
_SMALL_WORD = re.compile(rf"\s(?!(?:{_VERBS})\b)[a-z]")
"""a word that makes an article or a pronoun of the capital before it"""
_MARKUP = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mathit|bf|rm|left|right)(?![a-z])|[{}$*`\\]")


def chosen_letters(completion: str, letters: str) -> set[str]:
    r"""Return the letters that a completion may have chosen: exactly one where it is clear.

    The first of these that exists decides: the last `<answer>`, within which the others are looked for; nothing but a
    letter; the last `\boxed{}` that holds letters, with those right before it; the last statement of the answer; the
    last line with a letter in brackets, or with lone capital letters. What is ruled out ("not A") does not count.
    """
    return _reader(letters).chosen(completion)


@cache
def _reader(letters: str) -> "_Letters":
    return _Letters(letters)


class _Letters:
    def __init__(self, letters: str) -> None:
        self._letters = letters
        one = rf"[{letters}]"
        either = rf"[{letters}{letters.lower()}]"
        join = (
            r"[\s*)\]}.]{0,3}(?:[,、/&]|\s(?:and|or)\b|\s?(?:和|或|及|と|또는))\s{0,2}(?:(?:and|or)\s)?[\s*(\[{$]{0,3}"
        )
        self._single = re.compile(rf"[\s(\[*.:$]*({either})[\s)\]*.:$。]*")
        self._listed = re.compile(
            rf"[\s(\[*$（【]{{0,6}}({one}){_AFTER}((?:{join}{one}{_AFTER}(?!\s(?:is|was|has|would|can|does)\b))*)"
        )
        self._lower = re.compile(
            rf"[\s*$（]{{0,4}}(?:[(\[]\s?({one.lower()})\s?[)\]]|({one.lower()})(?=[\s*$]{{0,3}}(?:[.,;:!]|$)))", re.M
        )
        self._one = re.compile(rf"{_BEFORE}({one}){_AFTER}")
        self._statement = re.compile(
            r"(?:(?i:\b(?:answers?|choose|chose|pick|select|correct (?:option|choice|letter|one)|it['’]s|it is)\b)"
            r"(?:[\s*_]{0,4}(?i:is|are|would be|must be|should be)\b)?"
            r"|答案|故选|故選|应选|應選|选择|選擇|选|選|答え|正解|정답|답)"
            r"(?:(?:应该|應該)?[是为為]|は|은|는)?[\s:：*$\[\\_\"']{0,8}"
            r"(?:(?i:therefore|thus|clearly|indeed|the)\s){0,2}(?:(?i:option|choice|letter)\s|选项|選項)?"
        )
        self._bracketed = re.compile(rf"[(\[（]\s?({one})\s?[)\]）]")
        # a capital before a small word is an article or a pronoun ("A good one", "I think"), unless it is spoken of
        self._lone = re.compile(rf"{_BEFORE}({one}){_AFTER}(?!{_SMALL_WORD.pattern})")
        several = rf"[\s*(\[]{{0,3}}{one}[\s*)\]]{{0,3}}"
        self._ruled_out = re.compile(
            rf"(?i:\bnot\b|n['’]t\b|\bnever\b|\bneither\b|\b(?:rule|ruled|ruling)\sout\b)[^.;,:!?\n]{{0,40}}?"
            rf"{_BEFORE}{one}{_AFTER}[)\]*]{{0,3}}(?:(?:,|\s(?i:or|nor|and)\b){several}{_AFTER})*"
            rf"|[(\[]?{_BEFORE}{one}{_AFTER}[)\]*]{{0,3}}"
            r"\s(?i:is|are|was|does|can)(?:n['’]t|\s(?i:not|wrong|incorrect|false|out)\b)"
        )

    def chosen(self, completion: str) -> set[str]:
        tag = tagged(completion)
        text = completion if tag is None else tag
        single = self._single.fullmatch(text)
        if single:
            return {single[1].upper()}
        boxed = self._boxed(text)
        if boxed:
            return boxed
        cleared = self._ruled_out.sub(" ", text)
        found = self._stated(cleared)
        return found or (set() if boxed is not None else self._last_line(cleared))

    def _boxed(self, text: str) -> set[str] | None:
        """Return the letters of the last boxes, those with nothing between them taken together; None without a box."""
        found: set[str] | None = None
        end = 0
        for start, after, inside in deque(boxes(text), maxlen=self._most):
            letters = self._inside(inside)
            if found and letters and BETWEEN.fullmatch(text[end:start]):
                found |= letters
            elif letters or found is None:
                found = letters
            end = after
        return found

    @property
    def _most(self) -> int:
        return len(self._letters) + 1

    def _inside(self, inside: str) -> set[str]:
        text = _MARKUP.sub(" ", inside).strip()
        single = self._single.fullmatch(text)
        if single:
            return {single[1].upper()}
        listed = self._listed.match(text)
        return set(self._one.findall(listed[0])) if listed else set()

    def _stated(self, text: str) -> set[str]:
        last: set[str] = set()
        for statement in self._statement.finditer(text):
            listed = self._listed.match(text, statement.end())
            if listed and (listed[1] not in "AI" or listed[2] or not _SMALL_WORD.match(text, listed.end())):
                last = set(self._one.findall(listed[0]))
                continue
            lower = self._lower.match(text, statement.end())
            if lower:
                last = {(lower[1] or lower[2]).upper()}
        return last

    def _last_line(self, text: str) -> set[str]:
        for line in reversed(text.splitlines()[-MOST_LINES:]):
            found = set(self._bracketed.findall(line)) or set(self._lone.findall(line))
            if found:
                return found
        return set()
