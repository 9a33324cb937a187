"""The student's own rollouts, pass by pass over its training problems: looks at a run that cost nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np

from gapcast.contract.base import JsonObject
from gapcast.contract.probes import Difference
from gapcast.contract.training_results import RolloutLook
from service.scores import Scores, arm_variance

MOST_LOOKS = 8
"""of a run: passes are pooled, so that a run of hundreds does not keep hundreds (docs: LIVE)"""


class Scored(NamedTuple):
    """The scores of one step's rollouts of one problem."""

    problem_id: str
    scores: Sequence[float]


@dataclass
class Tally:
    """Sums over the problems that were drawn since the last look."""

    problems: int = 0
    steps: int = 0
    """numbers of the steps in which they were drawn"""
    gain: float = 0.0
    """mean score minus the problem's baseline"""
    square: float = 0.0
    """of that"""
    within: float = 0.0
    """variance of one rollout about its problem's mean"""

    def add(self, step: int, scores: Sequence[float], baseline: float) -> None:
        """Take the rollouts of one problem in one step."""
        gain = float(np.mean(scores)) - baseline
        self.problems += 1
        self.steps += step
        self.gain += gain
        self.square += gain**2
        self.within += float(np.var(scores, ddof=1)) if len(scores) > 1 else 0.0


@dataclass
class Passes:
    """The looks so far, and the one that has begun; a checkpoint keeps both."""

    looks: list[RolloutLook] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def as_dict(self) -> JsonObject:
        """Return what a checkpoint keeps."""
        return {"looks": [look.model_dump(mode="json") for look in self.looks], "tally": asdict(self.tally)}

    @classmethod
    def read(cls, state: Mapping[str, Any] | None) -> "Passes":
        """Read what `as_dict` returned; None: an older version kept nothing."""
        if state is None:
            return cls()
        return cls([RolloutLook.model_validate(look) for look in state["looks"]], Tally(**state["tally"]))


class PassCounter:
    """Makes looks of rollouts: D = mean over whole passes of (score - the problem's baseline) (docs: LIVE)."""

    def __init__(self, problem_ids: Sequence[str], before: Scores, group: int, draws: int) -> None:
        """Count.

        Args:
            problem_ids: of all training problems.
            before: their scores before the first step, shape (problems, rollouts).
            group: rollouts of a problem in a step.
            draws: problems that the whole run draws, each as often as it comes.
        """
        self._baselines = dict(zip(problem_ids, before.mean(axis=1).tolist(), strict=True))
        self._baseline_var, self._group = arm_variance(before), group
        self.passes = max(1, ceil(draws / len(problem_ids) / MOST_LOOKS))
        """in one look"""

    def add(self, passes: Passes, step: int, rollouts: Sequence[Scored]) -> bool:
        """Take a step's rollouts; return True if they complete a look."""
        looks = len(passes.looks)
        for problem_id, scores in rollouts:
            passes.tally.add(step, scores, self._baselines[problem_id])
            if passes.tally.problems == self.passes * len(self._baselines):
                passes.looks.append(self._look(passes.tally))
                passes.tally = Tally()
        return len(passes.looks) > looks

    def _look(self, tally: Tally) -> RolloutLook:
        n, problems, group = tally.problems, len(self._baselines), self._group
        gain, within = tally.gain / n, tally.within / n
        spread = max(tally.square - n * gain**2, 0.0) / (n - 1)
        # each problem was drawn `passes` times: its rollouts' own part is that much smaller, all else is the problem's
        variance = max(spread - within / group, 0.0) / problems + within / (n * group)
        own = max(within, 1 / (n * group + 2)) / (n * group)
        least = own + self._baseline_var + (spread / n if group == 1 else 0.0)
        return RolloutLook(
            step=max(1, round(tally.steps / n - 1)),
            improvement=Difference(value=gain, se=sqrt(max(variance, least))),
            passes=self.passes,
            rollouts=n * group,
        )
