"""Numbers, states and recipes in words; the command line and the page both use them."""

from collections.abc import Sequence

from gapcast.contract.fits import Coefficients, LinkWeights, OfRecipe
from gapcast.contract.predictions import LawUsed
from gapcast.contract.probes import Difference

BLOCKS = "▁▂▃▄▅▆▇█"
RULES = {"frozen": "frozen", "co_moving": "co-moving"}
"""of the teachers whose runs share a law"""
TEACHERS = {"frozen": "frozen", "ema": "EMA", "trust_region": "trust region"}
DIVERGENCES = {"forward_kl": "forward KL", "reverse_kl": "reverse KL", "js": "JS"}


def points(value: float) -> str:
    """Write a share as signed accuracy points."""
    return f"{100 * value:+.1f}"


def percent(share: float) -> str:
    """Write a share as per cent."""
    return f"{100 * share:.1f} %"


def probability(share: float) -> str:
    """Write a probability as per cent; nothing that is estimated is certain."""
    if share > 0.999:
        return "> 99.9 %"
    return "< 0.1 %" if share < 0.001 else percent(share)


def weight(share: float) -> str:
    """Write the weight of one of several possibilities in whole per cent; only a lone one has all of it."""
    if 0.995 <= share < 1:
        return "> 99 %"
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def count(number: int, thing: str) -> str:
    """Write a number of things: `1 row`, `2 rows`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def estimated(estimate: Difference | None) -> str:
    """Write a difference with its standard error."""
    return "not run" if estimate is None else f"{points(estimate.value)} ± {100 * estimate.se:.1f} points (± 1 SE)"


def recipe(of: OfRecipe) -> str:
    """Name the runs that a law is of: frozen, forward KL."""
    rule, divergence = of.teacher_rule, of.divergence
    known = DIVERGENCES.get(divergence, divergence) if divergence is not None else "divergence unknown"
    return f"{RULES.get(rule, rule)}, {known}"


def run_recipe(teacher: str, divergence: str) -> str:
    """Name the recipe of one run: EMA teacher, reverse KL."""
    return f"{TEACHERS.get(teacher, teacher)} teacher, {DIVERGENCES.get(divergence, divergence)}"


def shape(linear: float) -> str:
    """Write how probable it is that improvements follow the gap straight on, or saturate."""
    if linear in (0, 1):
        return "straight" if linear else "saturating"
    return f"straight {weight(linear)}, saturating {weight(1 - linear)}"


def link_weights(links: LinkWeights) -> str:
    """The same, and in which of two ways improvements saturate."""
    ways = f" (tanh {weight(links.tanh)}, exp {weight(links.exp)})" if links.saturating >= 0.005 else ""
    return f"{shape(links.linear)}{ways}"


def summed_up(of: Coefficients | LawUsed, interval: str = "") -> str:
    """Sum a law up by its slope, or by the improvement at one gap where the slope depends on the link."""
    common = of.at_common_gap
    if of.depends_on_link and common is not None:
        low, high = common.improvement_interval
        at = f"{points(common.improvement)} points at a gap of {100 * common.gap:g}"
        return f"{at} ({interval}{points(low)} to {points(high)})"
    low, high = of.slope_interval
    at = "" if of.straight else " at gap 0"
    return f"slope {of.slope:.2f}{at} ({interval}{low:.2f} to {high:.2f})"


def model_size(parameters: float) -> str:
    """Write a number of weights: 8B, 350M, 101K."""
    for letter, unit in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= 0.9995 * unit:  # so that 999.9M is written 1B
            return f"{parameters / unit:.3g}{letter}"
    return f"{parameters:g}"


def gpu_hours(hours: float | None) -> str:
    """Write GPU-hours where a GPU was used."""
    return f", {hours:.2g} GPU-hours" if hours else ""


def duration(seconds: float) -> str:
    """Write a time in its largest unit: 45 s, 12 min, 3.2 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def file_size(size: int) -> str:
    """Write a number of bytes: 512 B, 3.2 MB, 16 GB."""
    for letter, unit in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if size >= 0.9995 * unit:  # so that 999.9 MB is written 1 GB
            return f"{size / unit:.3g} {letter}B"
    return f"{size} B"


def curve(values: Sequence[float], most: int = 40) -> str:
    """Draw numbers as one line of at most so many blocks, from the lowest block to the highest.

    Of more numbers the first, the last, and evenly spaced ones in between are drawn.
    """
    if len(values) > most:
        values = [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]
    low, high = min(values), max(values)
    heights = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    return "".join(BLOCKS[round(height * (len(BLOCKS) - 1))] for height in heights)
