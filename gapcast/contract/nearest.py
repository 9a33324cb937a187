"""The known name that a wrong one was probably meant for."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 255
"""characters of a name that are compared: no name is longer, and comparing takes time"""


def nearest(sent: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like what was sent, upper and lower case alike; None where none is near."""
    names = {name.lower(): name for name in known}
    found = get_close_matches(sent[:LONGEST].lower(), names, n=1)
    return names[found[0]] if found else None


def did_you_mean(sent: str, known: Iterable[str]) -> str:
    """Return the question that an error ends with, after a space; nothing where no known name is near."""
    name = nearest(sent, known)
    return f" Did you mean {name!r}?" if name is not None else ""
