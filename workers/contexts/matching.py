"""Whether one text stands in another."""

import re


def stands_in(part: str, text: str) -> bool:
    """Whether the part stands in the text as whole words, white space aside: 12 stands neither in 128 nor in 12.5."""
    words = [re.escape(word) for word in part.split()]
    if not words:
        return False
    pattern = r"(?<!\w)(?<!\d[.,])" + r"\s+".join(words) + r"(?!\w|[.,]\d)"
    return re.search(pattern, text) is not None
