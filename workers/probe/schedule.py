"""In what portions a probe takes its problems."""

from collections.abc import Iterator

PILOT = 32
LOOK = 8
"""Problems before the first look at the width, and between two early looks. LAW.md ("The size of a probe") has 16 and
8; a probe that stopped after 16 would be answered with the warning that its standard error cannot be trusted."""
GROWTH = 4
"""Later looks come when a quarter more problems are done: fuller batches, and fewer looks never cost coverage."""


def portions(problems: int, sequential: bool, at_once: int) -> Iterator[tuple[int, int]]:
    """Start and end of each portion.

    A sequential probe's do not depend on what it finds, so that two contexts share their student's rollouts.

    Args:
        problems: how many there are.
        sequential: whether the probe stops by its width.
        at_once: problems that a probe of fixed size takes at once.
    """
    start = 0
    while start < problems:
        size = at_once
        if sequential:
            size = PILOT if start == 0 else max(LOOK, start // GROWTH // LOOK * LOOK)
        end = min(start + size, problems)
        yield start, end
        start = end
