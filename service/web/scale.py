"""The x axis of plots that a template draws: places are per cent of the drawing's width, so that it fits any."""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import NamedTuple

from gapcast.contract.predictions import Interval

MARGIN = 4.0
"""per cent that are left beside the outermost ends"""
MOST_TICKS = 6


class Bar(NamedTuple):
    """An interval and its middle."""

    lower: float
    upper: float
    value: float


class Tick(NamedTuple):
    """A place on the axis and its label."""

    x: float
    text: str


class Scale:
    """From a share to its place: 0 and every end are inside."""

    def __init__(self, ends: Sequence[float]) -> None:
        self.low, self.high = min(0.0, *ends), max(0.0, *ends)

    def place(self, share: float) -> float:
        """Return the place of a share."""
        return round(MARGIN + (100 - 2 * MARGIN) * (share - self.low) / (self.high - self.low), 2)

    def bar(self, value: float | None, interval: Interval | None) -> Bar | None:
        """Return the places of an interval; None where it is not known."""
        if value is None or interval is None:
            return None
        return Bar(self.place(interval.lower), self.place(interval.upper), self.place(value))

    def ticks(self) -> list[Tick]:
        """At round numbers of accuracy points: multiples of 1, 2 or 5."""
        low, high = 100 * self.low, 100 * self.high
        decade = 10.0 ** floor(log10((high - low) / MOST_TICKS))
        step = next(n * decade for n in (1, 2, 5, 10) if (high - low) / (n * decade) <= MOST_TICKS)
        marks = [step * n for n in range(ceil(low / step), floor(high / step) + 1)]
        return [Tick(self.place(mark / 100), f"{mark:+.10g}" if mark else "0") for mark in marks]
