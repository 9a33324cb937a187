"""Pilots: several runs that are trained for a share of their steps, of which the best go on (adr 32)."""

from collections.abc import Iterator

import numpy as np

from service.deciding.planning.outcomes import Outcomes, Signal
from service.deciding.planning.plans import Limits, Plan
from service.deciding.planning.probing import Probe
from service.deciding.planning.training import Training

PILOT_SHARE = 0.2
"""of the steps: in the lab's runs 5 and 10 % do not choose better than the gap does, 20 % does (LIVE)"""
PILOT_SD = 0.085
"""of an end that is forecast from a pilot: the mean absolute error at 20 % of the steps is .068 in the lab's runs under
an EMA teacher (LIVE), and a normal error's standard deviation is 1.25 times that"""
ROUNDING = 1e-9
"""hours or runs: .6 + .8 is more than 1.4 in binary"""
MOST = 6
"""runs that are piloted: with a seventh the best of them rises by less than a tenth of their scatter"""


class Piloting:
    """Values plans that pilot s configurations and finish the best r of them.

    Args:
        outcomes: of all runs.
        training: the runs that there are, and what they cost.
        limits: of the budget; a pilot counts as ``PILOT_SHARE`` of a run.
    """

    def __init__(self, outcomes: Outcomes, training: Training, limits: Limits) -> None:
        self._outcomes, self._training, self._limits = outcomes, training, limits

    def plans(self, known: Signal, probe: Probe) -> Iterator[Plan]:
        """Pilot those with the largest means after a probe, each run's end seen with an error of ``PILOT_SD``."""
        if not self._limits.pilots:
            return
        order, price_of = self._training.order, self._training.price
        left = self._limits.hours - probe.hours - PILOT_SHARE * self._training.least()
        offered = [row for row in (probe.probed if probe.rollouts else order) if price_of[row] <= left]
        others = [row for row in order if row not in offered]
        # a comparison picks one less than it compares, at most
        most_runs = min(MOST, len(offered), len(probe.probed) - 1 if probe.rollouts else MOST)
        rows = np.arange(len(self._outcomes.draws))[:, None]
        for piloted in range(2, most_runs + 1):
            places = self._training.best(known.mean, piloted, others)
            end = self._outcomes.piloted(known, places, PILOT_SD**2)
            ranked = np.take_along_axis(places, np.argsort(-end, axis=1, kind="stable"), axis=1)
            price = price_of[places]
            shares, dearest = PILOT_SHARE * price.sum(axis=1), np.sort(price, axis=1)[:, ::-1]
            for finished in range(1, piloted):
                most = probe.hours + shares + (1 - PILOT_SHARE) * dearest[:, :finished].sum(axis=1)
                runs = PILOT_SHARE * piloted + (1 - PILOT_SHARE) * finished
                if runs > self._limits.runs + ROUNDING or most.max() > self._limits.hours + ROUNDING:
                    break
                best = self._outcomes.draws[rows, ranked[:, :finished]].max(axis=1)
                rest = (1 - PILOT_SHARE) * price_of[ranked[:, :finished]].sum(axis=1)
                yield Plan(
                    first=(),
                    probed=probe.probed if probe.rollouts else (),
                    chosen=False,
                    problems=probe.problems,
                    turn=0,
                    runs=finished,
                    train=tuple(order) if probe.rollouts else tuple(int(row) for row in places[0]),
                    rollouts=probe.rollouts,
                    probe_hours=probe.hours,
                    hours=probe.hours + float((shares + rest).mean()),
                    gain=float(np.maximum(best, self._limits.had).mean()),
                    piloted=piloted,
                )
