"""A text that was read, and its faults."""

from typing import Any, NamedTuple


class Fault(NamedTuple):
    """A fault of a text; without a line if it is one of the whole text, without a field if it is not in one."""

    line: int | None
    field: str
    message: str


class Text(NamedTuple):
    """The content of a text, the line of each of its fields by dotted path, and its faults."""

    value: Any
    lines: dict[str, int]
    faults: list[Fault]
