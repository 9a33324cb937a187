"""Looks at a comparison, from what is known of its configurations: as decisions take it, and as it is shown."""

from collections.abc import Sequence

import numpy as np

from gapcast.contract.comparisons import COMPARED_AT, Round, Standing
from gapcast.contract.predictions import Interval
from gapcast.contract.probes import ProbeResult
from service import deciding


def known(result: ProbeResult) -> deciding.Known:
    """A probe as decisions take it.

    Raises:
        ValueError: it comes from a list, without its counts.
    """
    student, teacher = result.arms["student"], result.arms["context"]
    if student.counts is None or teacher.counts is None:
        raise ValueError("a stored probe has the counts of every problem")
    shares = [np.asarray(arm.counts, dtype=float) / arm.rollouts for arm in (teacher, student)]
    return deciding.Known(
        differences=shares[0] - shares[1],
        gap_var=result.gap.se**2,
        student=result.gap.student,
        gap_spread=result.variance.sigma_d2 if result.variance is not None else None,
    )


def round_of(decision: deciding.Decision, known: Sequence[deciding.Known | None], number: int, rollouts: int) -> Round:
    """Show a decision; `known` is what it was made from, and `rollouts` what all of that took."""
    return Round(
        number=number,
        rollouts=rollouts,
        standings=[_standing(place, one, known[place]) for place, one in enumerate(decision.standings)],
        leader=decision.leader,
        picked=list(decision.picked),
        p_best_picked=decision.p_best_picked,
        alike=list(decision.alike),
    )


def _standing(place: int, one: deciding.Standing, known: deciding.Known | None) -> Standing:
    return Standing(
        place=place,
        problems=len(known.differences) if known is not None else 0,
        gap=float(known.differences.mean()) if known is not None else None,
        gap_se=known.gap_var**0.5 if known is not None else None,
        value=one.mean,
        interval=Interval(level=COMPARED_AT, lower=one.lower, upper=one.upper),
        p_best=one.p_best,
        p_picked=one.p_picked,
        loss=one.loss,
        eliminated=one.eliminated,
        refused=one.refused,
    )
