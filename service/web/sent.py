"""What a form of a page was sent with."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from fastapi import Request

Sent = Mapping[str, Sequence[str]]
"""The fields of a form; those that were left empty are not there."""


async def sent_fields(request: Request) -> Sent:
    """Read the form that a request carries."""
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl((await request.body()).decode(errors="replace")):
        found.setdefault(name, []).append(value)
    return found


def value_of(sent: Sent, name: str) -> str | None:
    """Return what a field says; None where it says nothing."""
    return sent.get(name, [""])[-1].strip() or None
