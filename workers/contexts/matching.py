"""Whether one text stands in another."""

import re


def stands_in(part: str, text: str) -> bool:
    """Whether the part stands in the text as whole words, white space aside: 12 stands neither in 128 nor in 12.5."""
    words = part.split()
    # most parts do not: a pattern is made, which costs more, only where all of their words are there
    if not words or not all(word in text for word in words):
        return False
    pattern = r"(?<!\w)(?<!\d[.,])" + r"\s+".join(map(re.escape, words)) + r"(?!\w|[.,]\d)"
    return re.search(pattern, text) is not None
