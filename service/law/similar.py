"""Names that are nearly the same: a family that was meant, and written otherwise (docs: LAW part 3)."""

from collections.abc import Iterable


def similar(name: str, known: Iterable[str]) -> str | None:
    """Find a known name that differs in case, punctuation or one letter only; ``None`` where the name itself is known.

    Digits do not count as letters: Qwen2 and Qwen3 are two families.
    """
    names = sorted(set(known))
    if name in names:
        return None
    letters, digits = _parts(name)
    alike = [(_distance(letters, _parts(other)[0]), other) for other in names if _parts(other)[1] == digits]
    distance, nearest = min(alike, default=(2, None))
    return nearest if distance <= 1 else None


def _parts(name: str) -> tuple[str, str]:
    folded = name.casefold()
    return "".join(one for one in folded if one.isalpha()), "".join(one for one in folded if one.isdigit())


def _distance(one: str, other: str) -> int:
    """0, 1, or 2 for more: letters changed, left out or added."""
    if one == other:
        return 0
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return 2
    same = next((place for place, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
    rest = short[same + (len(short) == len(long)) :]
    return 1 if rest == long[same + 1 :] else 2
