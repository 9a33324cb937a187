"""The look of the plots: what a specification's configuration holds, and the marks that it gives a style.

A colour, and the font, is the name of a variable of the style sheet: the browser puts in what it is there, light or
dark.
"""

from collections.abc import Mapping
from typing import Any

SHAPES: Mapping[str, str] = {
    "linear": "M-0.9,0.7L0.9,-0.7",
    "saturating": "M-0.9,0.7C-0.5,-0.5 0,-0.6 0.9,-0.6",
}
"""the mark of either side of an undecided law, as the path of an SVG drawing from -1 to 1"""


def _colour(name: str) -> str:
    return f"--chart-{name}"


PAPER, TEXT, GRID, ZERO, FIT, ANSWER, WARN = map(_colour, ("paper", "text", "grid", "zero", "fit", "answer", "warn"))
CATEGORIES = [_colour(letter) for letter in "abcdefgh"]
LABELS = {"labelColor": TEXT, "titleColor": TEXT, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500}
BRANCH = {"size": 320, "filled": False, "color": ANSWER, "strokeWidth": 2.5, "opacity": 1}
STYLES: Mapping[str, Mapping[str, Any]] = {
    "zero": {"color": ZERO},
    "prediction-band": {"color": FIT, "fillOpacity": 0.12},
    "confidence-band": {"color": FIT, "fillOpacity": 0.25},
    "fit": {"color": FIT, "strokeWidth": 2},
    "error-bar": {"strokeWidth": 1},
    "observation": {"size": 55, "strokeWidth": 1.2},
    "outlier": {"shape": "circle", "size": 230, "filled": False, "color": WARN, "strokeWidth": 1.8},
    "interval": {"color": ANSWER, "strokeCap": "round"},
    "prediction": {
        **{"shape": "diamond", "size": 170, "filled": True, "color": ANSWER},
        **{"stroke": PAPER, "strokeWidth": 1.5, "opacity": 1},
    },
    "branch-interval": {"color": TEXT, "strokeWidth": 1.5, "strokeDash": [2, 3]},
    **{f"branch-{link}": {"shape": shape, **BRANCH} for link, shape in SHAPES.items()},
    "promised": {"color": FIT, "strokeWidth": 3, "strokeOpacity": 0.3, "strokeCap": "round"},
    "identity": {"color": ZERO, "strokeWidth": 1.2},
    "inside": {"shape": "circle", "size": 50, "filled": True, "color": ANSWER, "opacity": 0.9},
    "outside": {"shape": "diamond", "size": 110, "filled": True, "color": WARN, "opacity": 1},
    "baseline": {"color": ZERO, "strokeWidth": 1.5},
    "self-teacher": {"color": TEXT, "strokeWidth": 1.5, "strokeDash": [2, 3]},
    "forecast": {"color": FIT, "strokeWidth": 12, "strokeOpacity": 0.28},
    "forecast-mean": {"color": FIT, "orient": "horizontal", "size": 20, "thickness": 2, "opacity": 1},
    "fan": {"color": ANSWER, "fillOpacity": 0.12},
    "student": {"color": ANSWER, "strokeWidth": 2},
    "look": {"shape": "circle", "size": 42, "filled": True, "color": ANSWER, "opacity": 1},
    "look-error": {"color": ANSWER, "strokeWidth": 1.2, "strokeOpacity": 0.5},
    "held-out": {"color": _colour("b"), "strokeWidth": 1.5, "strokeDash": [6, 3]},
    "held-out-look": {"shape": "square", "size": 30, "filled": True, "color": _colour("b"), "opacity": 1},
    "loss": {"color": _colour("a"), "strokeWidth": 1.5},
    "loss-step": {"shape": "circle", "size": 14, "filled": True, "color": _colour("a"), "opacity": 1},
    "forest": {"shape": "circle", "size": 55, "filled": True, "color": ANSWER, "opacity": 1},
    "forest-interval": {"color": FIT, "strokeWidth": 3, "strokeCap": "round"},
    "histogram": {"color": FIT, "fillOpacity": 0.6},
    "refused": {"color": ANSWER, "strokeWidth": 1.5, "strokeDash": [5, 4]},
}
"""by the name that a mark carries"""
CONFIG: Mapping[str, Any] = {
    "font": _colour("font"),
    "background": PAPER,
    "view": {"stroke": None},
    "axis": {
        **{**LABELS, "gridColor": GRID, "domain": False, "ticks": False},
        **{"labelPadding": 6, "titlePadding": 10},
    },
    "axisX": {"tickCount": {"expr": "ceil(width / 90)"}},
    "legend": {
        **{**LABELS, "orient": "top", "symbolStrokeWidth": 1.2, "symbolSize": 70},
        **{"padding": 0, "offset": 10, "columnPadding": 14},
    },
    "range": {"category": CATEGORIES},
    "style": STYLES,
}
"""of every specification"""
