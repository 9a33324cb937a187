"""What a plan is, what it may spend, and the plans that it was compared with."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from service.law.observations import FloatArray

TOLERANCE = 0.001
"""share: a cheaper plan that gains less by no more than a tenth of a point is taken"""


class Prices(NamedTuple):
    """Hours by configuration.

    Attributes:
        run: (P,) of one training run.
        rollout: (P,) of one rollout of a probe.
        again: (P,) rollouts that probe the winner of a comparison afresh.
    """

    run: FloatArray
    rollout: FloatArray
    again: FloatArray


class Limits(NamedTuple):
    """What a plan may spend.

    Attributes:
        hours: of probes and runs; infinite without a limit.
        runs: training runs.
        learns: True if the law knows of a run once it has ended.
        least: improvement below which no run is worth it, accuracy share.
        had: improvement by a run that has ended; minus infinity without one.
        own: (P,) problems of the probe that each configuration would have alone.
        noise: sampling variance of a run's measured improvement.
        pilots: True if runs may be piloted.
    """

    hours: float
    runs: int
    learns: bool
    least: float
    own: FloatArray
    noise: float
    had: float = -np.inf
    pilots: bool = True


@dataclass(frozen=True)
class Plan:
    """A plan and its worth.

    Attributes:
        first: configurations that are trained before anything is probed.
        probed: configurations that are probed then.
        chosen: True if those are chosen by what the first runs say; ``probed`` are then the likely ones.
        problems: of each of them, in total; 0 where nothing is probed.
        turn: runs after the probes whose outcomes are waited for before the others are chosen.
        runs: in all.
        train: those that are trained, where that is known, twice for two seeds; else all that can be, in the order of
            what is predicted now.
        rollouts: of the probes, at most.
        probe_hours, hours: of the probes, and in all.
        gain: expected improvement by the best run, accuracy share.
        piloted: runs that are trained for a share of their steps, to choose those that are finished, ``runs``.
    """

    first: tuple[int, ...]
    probed: tuple[int, ...]
    chosen: bool
    problems: int
    turn: int
    runs: int
    train: tuple[int, ...]
    rollouts: int
    probe_hours: float
    hours: float
    gain: float
    piloted: int = 0

    @property
    def teaches(self) -> bool:
        """True if some of its runs are trained to choose the others."""
        return bool(self.first) or self.turn > 0

    @property
    def waits(self) -> bool:
        """True if some of its runs begin, or go on, by what others have shown."""
        return self.teaches or self.piloted > 0

    @property
    def kind(self) -> tuple[bool, bool, int, int, bool]:
        """Plans of one kind differ in nothing but the size of their probes and the number of their pilots."""
        return bool(self.first), self.problems > 0, len(self.first) + self.turn, self.runs, self.piloted > 0


class Planned(NamedTuple):
    """The best plan, and what it was compared with.

    Attributes:
        plan: the cheapest one within ``TOLERANCE`` of the best; ``None``: no run is worth it.
        considered: the best plans of each kind, ``plan`` first.
        naive: gain of probing all alike and training the first.
        without: gain of training the first by the law alone.
        at_once: gain of the best plan that waits for no run.
        more: what one run more than the limit would add to the gain.
        law_share: share of the variance of the most promising improvement that exact gaps would leave.
    """

    plan: Plan | None
    considered: tuple[Plan, ...]
    naive: float
    without: float
    at_once: float
    more: float
    law_share: float

    @property
    def bottleneck(self) -> Literal["gap", "law", "pilots", "runs", "none"]:
        """What the plan spends on first, or would spend more on."""
        if self.plan is None:
            return "none"
        if self.plan.teaches:
            return "law"
        if self.plan.problems:
            return "gap"
        if self.plan.piloted:
            return "pilots"
        return "runs" if self.more > TOLERANCE else "none"
