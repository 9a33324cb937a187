"""In what portions a probe takes its problems."""

import time
from collections.abc import Iterator

PILOT = 32
LOOK = 8
"""Problems before the first look at the width, and between two early looks. LAW.md ("The size of a probe") has 16 and
8; a probe that stopped after 16 would be answered with the warning that its standard error cannot be trusted."""
GROWTH = 4
"""Later looks come when a quarter more problems are done: fuller batches, and fewer looks never cost coverage."""
PORTION_SECONDS = 60.0
"""What a portion of a probe of fixed size is to take: a cancelled probe keeps all but its last minute, and a fast GPU
has its batches full."""


def portions(problems: int, sequential: bool, most: int) -> Iterator[tuple[int, int]]:
    """Start and end of each portion; the caller measures it before it asks for the next.

    A sequential probe's do not depend on what it finds or how long it takes, so that two contexts share their student's
    rollouts and its looks are fixed. Those of fixed size grow to a minute. All but the last end at multiples of `LOOK`.

    Args:
        problems: how many there are.
        sequential: whether the probe stops by its width.
        most: problems of a portion, at most; at least `LOOK`.
    """
    start, size = 0, PILOT
    while start < problems:
        end = min(start + size, problems)
        began = time.monotonic()
        yield start, end
        seconds = max(time.monotonic() - began, 1e-3)
        if sequential:
            size = max(LOOK, end // GROWTH // LOOK * LOOK)
        else:
            wanted = min(most, int((end - start) * PORTION_SECONDS / seconds))
            size = max(LOOK, wanted // LOOK * LOOK)
        start = end
