"""The plot of an answer: what is predicted, what came of its runs, and what the nearest stored runs gained.

Places along x are per cent of the drawing's width, along y pixels.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gapcast import words
from gapcast.contract.observations import Measured
from gapcast.contract.predictions import Improvement, Interval, NearRun, PredictionOut
from gapcast.contract.probes import Z95, Difference
from gapcast.contract.training_results import TrainingRunOut
from service.web.scale import Bar, Scale, Tick

LINE = 38
"""pixels of a line and its name"""
LONGEST_NAME = 44
"""characters: the lists below the plot have the whole of it"""


class Drawn(NamedTuple):
    """A line: a name, its number, and an interval within a wider one."""

    name: str
    text: str
    y: int
    narrow: Bar | None
    wide: Bar
    kind: str
    """`predicted`, `measured` here, or `stored` before"""


class AnswerPlot(NamedTuple):
    """All that is drawn, and the text that says the same."""

    lines: list[Drawn]
    ticks: list[Tick]
    zero: float
    floor: float | None
    """the gain that makes a run worth it, where it is not 0"""
    height: int
    description: str


class _Said(NamedTuple):
    name: str
    value: float
    intervals: Sequence[Interval]
    kind: str


def answer_plot(prediction: PredictionOut, runs: Sequence[TrainingRunOut]) -> AnswerPlot | None:
    """Return what is drawn of an answer; None where nothing is predicted."""
    said = list(_said(prediction, runs))
    if not said or said[0].kind != "predicted":
        return None
    ends = [end for one in said for interval in one.intervals for end in (interval.lower, interval.upper)]
    floor = prediction.request.min_gain
    scale = Scale([*ends, floor])
    lines = []
    for number, one in enumerate(said):
        first, last = one.intervals[0], one.intervals[-1]
        wide = scale.bar(one.value, last)
        if wide is not None:
            narrow = scale.bar(one.value, first) if first is not last else None
            name = one.name if len(one.name) <= LONGEST_NAME else f"{one.name[: LONGEST_NAME - 1]}…"
            lines.append(Drawn(name, words.points(one.value), number * LINE, narrow, wide, one.kind))
    text = "; ".join(
        f"{one.name} {words.points(one.value)} ({words.between(one.intervals[-1].lower, one.intervals[-1].upper)})"
        for one in said
    )
    return AnswerPlot(
        lines,
        scale.ticks(),
        scale.place(0.0),
        scale.place(floor) if floor else None,
        len(lines) * LINE,
        f"Predicted and measured improvements with their widest intervals: {text}.",
    )


def _said(prediction: PredictionOut, runs: Sequence[TrainingRunOut]) -> Iterator[_Said]:
    held_out = prediction.held_out.improvement if prediction.held_out is not None else None
    yield from _predicted("Predicted on the training problems", prediction.improvement)
    yield from _predicted("Predicted on held-out problems", held_out)
    for run in runs:
        if run.improvement is not None:
            yield _measured(f"Measured, seed {run.seed}", run.improvement, "measured")
    for near in prediction.support.nearest if prediction.support is not None else []:
        if near.improvement is not None and not near.collapsed:
            yield _measured(_near(near), near.improvement, "stored")


def _predicted(name: str, found: Improvement | None) -> Iterator[_Said]:
    if found is not None and found.value is not None and found.intervals:
        yield _Said(name, found.value, sorted(found.intervals, key=lambda one: one.level), "predicted")


def _measured(name: str, found: Difference | Measured, kind: str) -> _Said:
    half = Z95 * found.se
    interval = Interval(level=0.95, lower=found.value - half, upper=found.value + half)
    return _Said(name, found.value, [interval], kind)


def _near(run: NearRun) -> str:
    name = words.run_name(run.name, run.external_id) or f"{run.model}, {words.plain(run.context_kind)}"
    return f"{words.sentence(words.SAME[run.same])}: {name}"
