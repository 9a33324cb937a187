"""Texts of models and strangers, made harmless to look at."""

import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""categories of characters that a terminal obeys, turns around or does not show: controls, escapes, bidirectional and
zero-width marks, half surrogates, line separators"""
KEPT = frozenset("\n")


def visible(text: str) -> str:
    r"""Return a text in which each character that is not to be seen stands as its escape, such as `\x1b`.

    Line breaks stay; a backslash stays as it is, as the text is to be read and not to be parsed.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(
        one if one in KEPT or unicodedata.category(one) not in HIDDEN else one.encode("unicode_escape").decode()
        for one in text
    )
