"""The plot of a recommendation: bars of what its plan is expected to gain, and of what other plans are."""

from typing import NamedTuple

from gapcast import recommendation_words, words
from gapcast.contract.recommendations import RecommendationOut
from service.web.scale import Scale, Tick

LINE = 34
"""pixels of a bar and its name"""


class Gain(NamedTuple):
    """A bar from 0 to the expected gain of a plan."""

    name: str
    text: str
    y: int
    start: float
    width: float


class GainsPlot(NamedTuple):
    """All that is drawn, and the text that says the same."""

    bars: list[Gain]
    ticks: list[Tick]
    zero: float
    height: int
    description: str


def gains_plot(plan: RecommendationOut) -> GainsPlot | None:
    """Return what is drawn of a recommendation; None where nothing is expected to gain."""
    gains = {name: float(getattr(plan, field)) for field, name in recommendation_words.GAINS.items()}
    if not any(gains.values()):
        return None
    scale = Scale(list(gains.values()))
    zero = scale.place(0.0)
    bars = []
    for number, (name, gain) in enumerate(gains.items()):
        end = scale.place(gain)
        start, width = min(zero, end), round(abs(end - zero), 2)
        bars.append(Gain(words.sentence(name), words.points(gain), number * LINE, start, width))
    return GainsPlot(bars, scale.ticks(), zero, len(bars) * LINE, recommendation_words.worth(plan))
