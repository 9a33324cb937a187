"""The JSON in a completion."""

import re
from contextlib import suppress
from json import JSONDecodeError, JSONDecoder

from workers.tasks.answers.stated import tagged

MOST_STARTS = 200
"""brackets from which a JSON value is tried to be read, so that the time does not grow with the square of the text"""

_TOOL_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_FENCE = re.compile(
    r"^[ \t]*+```+[ \t]*+(?P<language>[\w+.-]*+)[^\n]*+\n(?P<text>.*?)(?:^[ \t]*+```+[ \t]*+$|\Z)", re.M | re.S
)
_START = re.compile(r"[{\[]")
_DECODER = JSONDecoder()


def json_text(completion: str) -> str:
    """Return what of a completion is meant to be its JSON.

    The first of these that exists decides: the last `<answer>`, within which the others are looked for; the last
    `<tool_call>`; the last ```` ```json ```` block, or else the last block that holds an object or a list; the
    completion, if it begins as JSON does and is nothing else; the last object in it, or else its longest list; all.
    """
    tag = tagged(completion)
    text = completion.strip() if tag is None else tag
    calls = _TOOL_CALL.findall(text)
    if calls:
        return str(calls[-1]).strip()
    block = _block(text)
    if block is not None:
        return block
    return _within(text) or text


def _block(text: str) -> str | None:
    if "```" not in text:
        return None
    blocks = [(found["language"].lower(), found["text"].strip()) for found in _FENCE.finditer(text)]
    said = [block for language, block in blocks if language.startswith("json")]
    if said:
        return said[-1]
    inline = text.rfind("```json")
    if inline >= 0:
        inside = text[inline + len("```json") :]
        return (inside.rpartition("```")[0] or inside).strip()
    plain = [block for _, block in blocks if block[:1] in {"{", "["}]
    return plain[-1] if plain else None


def _within(text: str) -> str | None:
    """Return the last object that stands in a text, or its longest list; None if neither does."""
    with suppress(ValueError, RecursionError):
        if _DECODER.raw_decode(text)[1] == len(text):
            return text
    objects: list[str] = []
    lists: list[str] = []
    at = 0
    for _ in range(MOST_STARTS):
        start = _START.search(text, at)
        if start is None:
            break
        at = start.start()
        try:
            _, end = _DECODER.raw_decode(text, at)
        except JSONDecodeError as error:
            at = max(at + 1, error.pos)  # what is inside a broken value is not the value that was meant
            continue
        except (ValueError, RecursionError):
            return None
        (objects if text[at] == "{" else lists).append(text[at:end])
        at = end
    if objects:
        return objects[-1]
    return max(lists, key=len, default=None)
