"""The plot of a comparison: a list of intervals, the best first, as places that its template draws.

Places along y are pixels.
"""

from typing import NamedTuple

from gapcast import comparison_words, words
from gapcast.contract.comparisons import COMPARED_AT, Compared, ComparisonOut
from gapcast.contract.predictions import Improvement
from service.web.scale import Bar, Scale, Tick

LINE, SECOND = 38, 12
"""pixels of a configuration, and of a second interval in it"""
LONGEST_NAME = 34
"""characters: the table has the whole of it"""


class Line(NamedTuple):
    """A configuration."""

    name: str
    text: str
    y: int
    height: int
    bar: Bar | None
    second: Bar | None
    """of the winner: from fresh samples"""
    floor: float | None
    """the gain that makes a run worth it, where it is not 0"""
    faded: bool


class IntervalPlot(NamedTuple):
    """All that is drawn, and the text that says the same."""

    lines: list[Line]
    ticks: list[Tick]
    zero: float
    height: int
    description: str


def intervals_plot(found: ComparisonOut) -> IntervalPlot | None:
    """Return what is drawn of a comparison; None before its first round has ended."""
    standings = [one.standing for one in found.configurations if one.standing is not None]
    ends = [end for one in standings if one.interval for end in (one.interval.lower, one.interval.upper)]
    second = _second(found)
    narrow = comparison_words.narrow(second) if second is not None else None
    ends += [narrow.lower, narrow.upper] if narrow is not None else []
    if not any(ends):
        return None
    scale = Scale(ends + [one.request.min_gain for one in found.configurations])
    lines: list[Line] = []
    top = 0
    for one in found.configurations:
        is_winner = found.winner is not None and one.place == found.winner.place
        line = _line(one, second if is_winner else None, scale, top)
        lines.append(line)
        top += line.height
    return IntervalPlot(lines, scale.ticks(), scale.place(0.0), top, _describe(found))


def _second(found: ComparisonOut) -> Improvement | None:
    """What fresh samples of the winner predict."""
    winner, best = found.winner if found.spent.second_probe else None, comparison_words.best(found)
    return comparison_words.decisive(winner.answer, best.request) if winner is not None and best is not None else None


def _line(one: Compared, second: Improvement | None, scale: Scale, top: int) -> Line:
    standing = one.standing
    fresh = scale.bar(second.value, comparison_words.narrow(second)) if second is not None else None
    name = one.name if len(one.name) <= LONGEST_NAME else f"{one.name[: LONGEST_NAME - 1]}…"
    return Line(
        name=name,
        text=words.probability(standing.p_best) if standing is not None else "",
        y=top,
        height=LINE + (SECOND if fresh is not None else 0),
        bar=scale.bar(standing.value, standing.interval) if standing is not None else None,
        second=fresh,
        floor=scale.place(one.request.min_gain) if one.request.min_gain else None,
        faded=standing is not None and standing.eliminated,
    )


def _describe(found: ComparisonOut) -> str:
    said = [_said(one) for one in found.configurations if one.standing is not None]
    text = f"Predicted improvements with {words.level(COMPARED_AT)} intervals, the best first: {'; '.join(said)}."
    second = _second(found)
    if second is not None and second.value is not None:
        text += f" Second probe of the winner: {words.points(second.value)}."
    return f"{text} The table has the same numbers."


def _said(one: Compared) -> str:
    standing = one.standing
    if standing is None or standing.value is None or standing.interval is None:
        return f"{one.name} no prediction"
    gone = ", eliminated" if standing.eliminated else ""
    between = words.between(standing.interval.lower, standing.interval.upper)
    return f"{one.name} {words.points(standing.value)} ({between}){gone}"
