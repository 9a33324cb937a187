"""How much of what the self-teacher says its context has told it."""

import re
from collections.abc import Sequence

from workers.contexts.matching import stands_in
from workers.tasks import Problem
from workers.tasks.answers import answer_part

SHINGLE_WORDS = 8
"""Two texts of their own on one problem seldom share eight words in a row; the length is usual in n-gram tests for
contaminated benchmarks (8 to 13)."""

COPIED_SHARE = 0.8
"""One changed word spoils eight shingles, so this allows one change in forty words: copied with small edits."""

SHORT_CHARACTERS = 50
"""About eight English words: a shorter text has no shingles to speak of and must stand there verbatim."""

_WORD = re.compile(r"[぀-ヿ㐀-鿿]|[^\W぀-ヿ㐀-鿿]+")
"""Chinese and Japanese are written without spaces: there a character counts as a word."""

_CODE = re.compile(r"```[^\n]*\n(.*?)```", re.DOTALL)


def leak(shown: Sequence[tuple[Problem, str, str]]) -> dict[str, float]:
    """Of (problem, completion, context text) of every rollout that was shown a context.

    `copied`: share of the answers, thinking aside, that are copied from their context. `contains_answer`: share of the
    contexts that contain the problem's answer, or the code or text of its reference solution where it has no answer;
    no context is known to contain what a problem with neither lacks. An answer of one letter or digit stands in many
    texts by chance.
    """
    copied = [_copied(answer_part(completion), text) for _, completion, text in shown]
    contains = [_contains_answer(problem, text) for problem, _, text in shown]
    return {"copied": _share(copied), "contains_answer": _share(contains)}


def _contains_answer(problem: Problem, text: str) -> bool:
    if problem.answer:
        return stands_in(problem.answer, text)
    solution = problem.reference_solution or ""
    return _copied("\n".join(_CODE.findall(solution)) or solution, text)


def _copied(part: str, text: str) -> bool:
    shingles = _shingles(part)
    if len(part.strip()) < SHORT_CHARACTERS or not shingles:
        return stands_in(part, text)
    return len(shingles & _shingles(text)) >= COPIED_SHARE * len(shingles)


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)}


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found) if found else 0.0
