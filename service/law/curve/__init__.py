"""The rest of a run's curve: where a run ends, given what it has shown so far (docs: LIVE, "The model").

Steps are shares t of the run's own. A run that ends y above its measured baseline has gained y h(t) + b x(t) at t, with
h(t) = (1 - exp(-t/T)) / (1 - exp(-1/T)) and x(t) = h(t) - t: y h is the quick gain, and b x, the bow, is what was
gained early and lost by the end. At t = 1 both are settled, so the law speaks of y alone, and finished runs of T and b.
"""

from service.law.curve.cells import FEWEST, Cell, Evidence, cell, evidence, known
from service.law.curve.ends import Forecast, forecast, prior
from service.law.curve.grids import BEYOND_LAW, BOW, GRID, STRAYING, TYPICAL_T, T
from service.law.curve.grounds import Begun, Expected, Grounds
from service.law.curve.looks import MOST_LOOKS, Curve, Finished
from service.law.curve.stopping import (
    ALPHA,
    ERROR,
    Rule,
    is_checked,
    lowest,
    may_stop,
    most_good_stopped,
    needed,
    rule,
    stopped_at,
    threshold,
)

__all__ = [
    "ALPHA",
    "BEYOND_LAW",
    "BOW",
    "ERROR",
    "FEWEST",
    "GRID",
    "MOST_LOOKS",
    "STRAYING",
    "TYPICAL_T",
    "Begun",
    "Cell",
    "Curve",
    "Evidence",
    "Expected",
    "Finished",
    "Forecast",
    "Grounds",
    "Rule",
    "T",
    "cell",
    "evidence",
    "forecast",
    "is_checked",
    "known",
    "lowest",
    "may_stop",
    "most_good_stopped",
    "needed",
    "prior",
    "rule",
    "stopped_at",
    "threshold",
]
