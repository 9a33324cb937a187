"""The program in a completion: which block of code it is."""

import re
from typing import NamedTuple

FENCE = re.compile(r"(?P<before>[^`~]*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<language>[\w+.-]*)[^`\n]*")
"""a line that opens a block; a text may stand before it"""
BEFORE = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?")
"""before a fence of Markdown: white space, or the mark of a list's item"""
PYTHON = re.compile(r"py(?:thon)?[\d.]*")


class Block(NamedTuple):
    """One fenced block of code."""

    language: str
    code: str


def extract_code(completion: str, fn_name: str | None = None) -> str:
    """Return the program: the last Python block (of those that define `fn_name`, where one does).

    A block that does not name a language comes next, then one of another language, then the whole completion.
    """
    found = blocks(completion)
    for fits in (PYTHON.fullmatch, lambda language: not language, lambda language: True):
        codes = [code for language, code in found if fits(language)]
        if codes:
            defining = [code for code in codes if fn_name is not None and _defines(code, fn_name)]
            return (defining or codes)[-1]
    return completion


def _defines(code: str, name: str) -> bool:
    return re.search(rf"^[ \t]*(?:async )?(?:def|class) {re.escape(name)}\b", code, re.M) is not None


def blocks(completion: str) -> list[Block]:
    """Return the fenced blocks in their order; one that is never closed goes to the end.

    As in Markdown, a fence of four marks is closed by four, and an indented fence takes its indentation from every
    line. A fence with the language Python may also stand at the end of a line of text.
    """
    found: list[Block] = []
    opened: re.Match[str] | None = None
    lines: list[str] = []
    for line in completion.splitlines(keepends=True):
        if opened is None:
            opened = _opens(line.rstrip("\r\n"))
            lines = []
            continue
        content = line.strip()
        if len(content) >= len(opened["marks"]) and content == len(content) * opened["marks"][0]:
            found.append(_block(opened, lines))
            opened = None
            continue
        lines.append(line)
    if opened is not None:
        found.append(_block(opened, lines))
    return found


def _opens(line: str) -> re.Match[str] | None:
    match = FENCE.fullmatch(line)
    if match is None or BEFORE.fullmatch(match["before"]) or PYTHON.fullmatch(match["language"].lower()):
        return match
    return None


def _block(opened: re.Match[str], lines: list[str]) -> Block:
    before = opened["before"]
    indentation = len(before) if BEFORE.fullmatch(before) else 0
    code = "".join(line[min(indentation, len(line) - len(line.lstrip(" \t"))) :] for line in lines)
    return Block(opened["language"].lower(), code)
