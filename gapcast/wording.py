"""Numbers as people say them."""

from gapcast.models import Estimate


def points(value: float) -> str:
    """Write a share as signed accuracy points."""
    return f"{100 * value:+.1f}"


def percent(share: float) -> str:
    """Write a share as per cent."""
    return f"{100 * share:.1f} %"


def count(number: int, thing: str) -> str:
    """Write a number of things: `1 row`, `2 rows`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def estimated(estimate: Estimate | None) -> str:
    """Write a difference with its standard error."""
    return "not run" if estimate is None else f"{points(estimate.value)} ± {100 * estimate.se:.1f} points (± 1 SE)"


def model_size(parameters: float) -> str:
    """Write a number of weights: 8B, 350M, 101K."""
    for letter, unit in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= 0.9995 * unit:  # so that 999.9M is written 1B
            return f"{parameters / unit:.3g}{letter}"
    return f"{parameters:g}"


def gpu_hours(hours: float | None) -> str:
    """Write GPU-hours where a GPU was used."""
    return f", {hours:.2g} GPU-hours" if hours else ""
