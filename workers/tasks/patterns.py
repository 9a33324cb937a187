"""Regular expressions in Python's notation for the library `regex`, whose matching can be stopped."""

import re

_PIECE = re.compile(r"\\N\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?!\d+(?:,\d*)?\}|,\d*\})", re.DOTALL)
"""an escape, a set of characters, or a brace that is no repetition's"""
_IN_SET = re.compile(r"\\.|\[", re.DOTALL)


def python_pattern(pattern: str) -> str:
    """The pattern as `regex` has to be given it to read it as `re` does.

    Elsewhere the two agree; but to `regex`, `x{e}` is an x with any number of errors, and `[[:alpha:]]` a letter.
    """
    return _PIECE.sub(lambda piece: _escaped(piece[0]), pattern)


def _escaped(piece: str) -> str:
    if piece == "{":
        return r"\{"
    if piece[0] == "[":
        return "[" + _IN_SET.sub(lambda one: r"\[" if one[0] == "[" else one[0], piece[1:])
    return piece
