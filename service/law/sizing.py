"""How large a probe must be for an interval as narrow as one wants (docs: LAW, "The size of a probe")."""

from math import ceil
from typing import NamedTuple

import numpy as np

from service.law import predicting
from service.law.estimator import GapLaw
from service.law.observations import FloatArray, Probe
from service.law.paired import Components

LARGEST_VARIANCE = 0.25
"""Of a gap, in accuracy squared: a standard error of .5 knows nothing. The worst probe, 2 problems, reaches .5."""
SCANNED_SE = np.sqrt(LARGEST_VARIANCE) * np.linspace(0, 1, 25) ** 2  # steps of .001 to .04: exposures are wider
SE_TOLERANCE = 1e-7
FEWEST_PROBLEMS = 2  # for a variance
MOST_ROLLOUTS = 64  # what problems at a thousand times a rollout's price ask for


class Need(NamedTuple):
    """How well a gap must be known.

    Attributes:
        gap_var: the largest sampling variance of the gap that meets the target, up to ``LARGEST_VARIANCE``; ``None``
            where the target is under the floor.
        floor: half-width of the interval at a gap that is known exactly: no probe gets under it.
    """

    gap_var: float | None
    floor: float


def needed_variance(
    law: GapLaw,
    *,
    gap: float,
    family: str,
    cell: str | None,
    baseline: float | None,
    improvement_var: float,
    level: float,
    half_width: float,
    teacher: str | None = None,
    divergence: str | None = None,
    context: str | None = None,
    model: str | None = None,
) -> Need:
    """Find how well a gap must be known for a prediction interval of at most this half-width, (upper - lower)/2.

    Searched on the law's own predictive mixture, clipped like its predictions. A wider probe can have a narrower
    interval, as it is shrunk towards the stored gaps: what counts is the first variance, from 0 up, at which the
    target is missed. ``LARGEST_VARIANCE`` stands for any probe at all. Whether a prediction at this gap would be
    refused is not asked here.

    Args:
        law: a fitted law.
        gap: a guess of what the probe will measure.
        family: as in ``Probe``.
        cell: as in ``Probe``.
        baseline: as in ``Probe``; ``None`` clips nothing.
        improvement_var: 0 for the latent improvement, > 0 for one measured on samples of its own.
        level: of the interval, in (0, 1).
        half_width: the target, in accuracy.
        teacher: as in ``Probe``.
        divergence: as in ``Probe``.
        context: as in ``Probe``.
        model: as in ``Probe``.

    Raises:
        ValueError: a value is out of range.
    """

    def half_widths(se: FloatArray) -> FloatArray:
        probe = Probe(
            gap=gap,
            gap_var=se**2,
            family=family,
            cell=cell,
            baseline=baseline,
            teacher=teacher,
            divergence=divergence,
            improvement_var=improvement_var,
            context=context,
            model=model,
        )
        lowest, highest = predicting.possible(probe)
        lower, upper = (
            np.clip(bound, lowest, highest) for bound in predicting.mixture(law.state_, probe).interval(level)
        )
        return np.asarray(0.5 * (upper - lower))

    scanned = half_widths(SCANNED_SE)
    floor = float(scanned[0])
    if not floor <= half_width:
        return Need(None, floor)
    missed = np.flatnonzero(scanned > half_width)
    if not len(missed):
        return Need(LARGEST_VARIANCE, floor)
    from scipy.optimize import brentq  # takes longer to import than the law

    around = SCANNED_SE[missed[0] - 1], SCANNED_SE[missed[0]]
    se = brentq(lambda se: half_widths(np.array([se]))[0] - half_width, *around, xtol=SE_TOLERANCE)
    return Need(max(float(se) - 2 * SE_TOLERANCE, 0.0) ** 2, floor)


class Size(NamedTuple):
    """A probe: problems, rollouts for each problem and arm, the gap's variance that they promise, and what they cost.

    ``cost`` is in the unit of ``plan``'s prices.
    """

    problems: int
    rollouts: int
    gap_var: float
    cost: float


def plan(
    components: Components,
    gap_var: float,
    *,
    rollouts: int | None = None,
    cost_per_problem: float = 0.0,
    cost_per_rollout: float = 1.0,
    most_problems: int | None = None,
) -> Size | None:
    """Choose the cheapest probe that measures the gap this well: P cost_per_problem + 2 P K cost_per_rollout.

    Every K from 1 to 64 is tried with its smallest P. Of equal costs, fewer rollouts in total, then fewer problems.

    Args:
        components: of the gap's variance.
        gap_var: the largest variance allowed.
        rollouts: K, where it is given.
        cost_per_problem: not negative, in any unit.
        cost_per_rollout: the same.
        most_problems: how many there are.

    Returns:
        ``None`` where no probe within these limits is enough.

    Raises:
        ValueError: a negative price, or no rollouts.
    """
    if cost_per_problem < 0 or cost_per_rollout < 0:
        raise ValueError(f"prices {cost_per_problem} and {cost_per_rollout}: none may be negative")
    if rollouts is not None and rollouts < 1:
        raise ValueError(f"{rollouts} rollouts: at least 1 is needed")
    sizes = []
    for each in range(1, MOST_ROLLOUTS + 1) if rollouts is None else (rollouts,):
        problems = _fewest_problems(components, gap_var, each)
        if problems is not None and (most_problems is None or problems <= most_problems):
            cost = problems * (cost_per_problem + 2 * each * cost_per_rollout)
            sizes.append(Size(problems, each, components.variance(problems, each), cost))
    return min(sizes, key=lambda size: (size.cost, size.problems * size.rollouts, size.problems), default=None)


def _fewest_problems(components: Components, gap_var: float, rollouts: int) -> int | None:
    if not gap_var >= np.finfo(float).tiny:
        return None
    problems = max(FEWEST_PROBLEMS, ceil(components.variance(1, rollouts) / gap_var))
    # the quotient can be rounded over a whole number, and then one less or one more is right
    if problems > FEWEST_PROBLEMS and components.variance(problems - 1, rollouts) <= gap_var:
        return problems - 1
    return problems if components.variance(problems, rollouts) <= gap_var else problems + 1
