"""How runs were tuned, and which cell of the law each belongs to.

Runs of one cell that were tuned alike stay the cell; those tuned otherwise are cells of their own beside it, under the
same family: what the family's cells say of each other, they say of tunings (docs/law.md). So are runs that were
measured in thinking mode, and those whose student, teacher and evaluation think differently.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel


class Tuning(NamedTuple):
    """Learning rate in half-decades, what was trained, and training problems in octaves; ``None`` where unknown."""

    half_decades: int | None
    adaptation: str | None
    octaves: int | None

    @classmethod
    def of(cls, learning_rate: float | None, adaptation: str | None, training_problems: int | None) -> "Tuning":
        """Find the tuning of a run."""
        return cls(
            None if learning_rate is None else round(2 * math.log10(learning_rate)),
            adaptation,
            None if training_problems is None else round(math.log2(training_problems)),
        )

    @property
    def name(self) -> str:
        """The tuning in one word; unknown parts are `?`."""
        rate = "?" if self.half_decades is None else f"1e{self.half_decades / 2:g}"
        problems = "?" if self.octaves is None else str(2**self.octaves)
        return f"lr~{rate},{self.adaptation or '?'},problems~{problems}"


class Tuned(BaseModel):
    """Stored runs of a cell that were tuned alike.

    Steps and passes are the fewest and the most that a run tells of; None: no run says.
    """

    leaf: str
    """the law's name of them: the cell, or the cell with its tuning"""
    runs: int
    """collapsed ones too"""
    steps: tuple[float, float] | None = None
    passes: tuple[float, float] | None = None


Cells = dict[str, dict[str, Tuned]]
"""By cell in its decoding mode and name of the tuning."""


def in_mode(cell: str, mode: str | None) -> str:
    """Name a cell in a decoding mode; without thinking, or where nobody says, it is the cell itself."""
    return cell if mode is None else f"{cell}|{mode}"


def leaf_of(known: Cells, cell: str, tuning: str) -> str:
    """Return the law's name of a cell, in its decoding mode, and a tuning."""
    found = known.get(cell, {}).get(tuning)
    return found.leaf if found is not None else f"{cell}|{tuning}" if cell in known else cell


def cells(column: Mapping[str, Sequence[Any]]) -> tuple[Cells, list[str | None]]:
    """Return the runs of each cell by tuning, and the law's cell of each row.

    The tuning that most runs of a cell have is the cell itself; of equals, the first by name.
    """
    told = ("learning_rate", "adaptation", "training_problems")
    modes = [cell and in_mode(cell, mode) for cell, mode in zip(column["cell"], column["mode"], strict=True)]
    keys = list(zip(modes, *(column[name] for name in told), strict=True))
    counts = Counter(keys)
    tuning = {key: Tuning.of(*key[1:]).name for key in counts}
    found: dict[str, Counter[str]] = {}
    for key, n in counts.items():
        if key[0] is not None:
            found.setdefault(key[0], Counter())[tuning[key]] += n
    usual = {cell: min((-n, name) for name, n in of.items())[1] for cell, of in found.items()}
    leaf = {
        key: key[0] if key[0] is None or tuning[key] == usual[key[0]] else f"{key[0]}|{tuning[key]}" for key in counts
    }
    named: Cells = {cell: {} for cell in found}
    ranges = _ranges(keys, column)
    for key, name in tuning.items():
        if key[0] is None:
            continue
        at = named[key[0]].setdefault(name, Tuned(leaf=str(leaf[key]), runs=0))
        at.runs += counts[key]
        steps, passes = ranges[key]
        at.steps, at.passes = _wider(at.steps, steps), _wider(at.passes, passes)
    return named, [leaf[key] for key in keys]


Range = tuple[float, float] | None


def _ranges(
    keys: Sequence[tuple[Any, ...]], column: Mapping[str, Sequence[Any]]
) -> dict[tuple[Any, ...], tuple[Range, Range]]:
    """Steps and passes that the rows of each key tell of; under a constant learning rate a curve tells of its looks."""
    code = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    of = np.fromiter(map(code.__getitem__, keys), dtype=np.intp, count=len(keys))
    last = np.array(column["steps"], dtype=np.float64)
    first = last.copy()
    for row, (curve, schedule) in enumerate(zip(column["curve"], column["schedule"], strict=True)):
        if curve and schedule in {None, "constant"}:
            first[row] = curve[0]["step"]
    share = np.array(column["problems_per_step"], dtype=np.float64) / np.array(
        column["training_problems"], dtype=np.float64
    )
    found = []
    for low, high in ((first, last), (first * share, last * share)):
        known = ~np.isnan(high)
        least, most = np.full(len(code), np.inf), np.full(len(code), -np.inf)
        np.minimum.at(least, of[known], low[known])
        np.maximum.at(most, of[known], high[known])
        found.append([(float(a), float(b)) if a <= b else None for a, b in zip(least, most, strict=True)])
    return {key: (found[0][place], found[1][place]) for key, place in code.items()}


def _wider(one: Range, other: Range) -> Range:
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])
