"""What a run measures: its baseline and its gap before it trains, and how far it has come while it does."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gapcast.contract.base import JsonObject
from gapcast.contract.collapse import has_collapsed
from gapcast.contract.contexts import Context
from gapcast.contract.probes import Difference, Gap
from gapcast.contract.training_results import ArmCounts, Evaluation
from service.scores import Scores, counts, differences, estimate, sampling_covariance, standard_error
from workers.opsd.warnings import Warnings
from workers.sampling.arms import Arm, Draw, Sampler, arm_of
from workers.sampling.self_teacher import SelfTeacher
from workers.tasks import Problem


@dataclass(frozen=True)
class Before:
    """Scores of shape (problems, rollouts) from before the first step."""

    student: Scores
    self_teacher: Scores
    held_out: Scores | None
    """Null where the run has no held-out problems."""
    asked: Scores | None = None
    """The student's that the self-teacher is compared with, where that decodes otherwise than an evaluation."""

    @property
    def untaught(self) -> Scores:
        """The student's side of the gap."""
        return self.student if self.asked is None else self.asked

    @property
    def baseline(self) -> float:
        """The student's accuracy on the training problems."""
        return float(self.student.mean())

    @property
    def gap(self) -> Gap:
        """Self-teacher minus student."""
        problems, rollouts = self.student.shape
        measured = estimate(self.self_teacher, self.untaught)
        return Gap(
            value=measured.value,
            se=measured.se,
            student=float(self.untaught.mean()),
            self_teacher=float(self.self_teacher.mean()),
            problems=problems,
            rollouts=rollouts,
        )

    def improvement(self, after: Scores) -> Difference:
        """How far the student has come."""
        return _difference(after, self.student)

    def covariance(self, after: Scores) -> float:
        """Covariance of the sampling errors of gap and improvement: they share the baseline (LAW.md, Model)."""
        return sampling_covariance(differences(self.self_teacher, self.untaught), differences(after, self.student))

    def counts(self, after: Scores) -> ArmCounts:
        """The sums of every problem's scores."""
        return ArmCounts(before=counts(self.student), context=counts(self.self_teacher), after=counts(after))

    def has_lost(self, after: Scores) -> bool:
        """True if the student has collapsed."""
        improvement = self.improvement(after)
        return has_collapsed(self.baseline, improvement.value, improvement.se)

    def as_dict(self) -> JsonObject:
        """For a checkpoint."""
        return {name: None if scores is None else scores.tolist() for name, scores in vars(self).items()}

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Before":
        """From a checkpoint."""
        scores = {name: None if rows is None else np.array(rows, dtype=np.float64) for name, rows in content.items()}
        return cls(**scores)  # type: ignore[arg-type]


@dataclass
class Evaluator:
    """Draws fresh samples for every look, so that no two share any; problems and decoding stay the same."""

    sampler: Sampler
    student: Sampler
    """Draws the student's side of the gap; the sampler itself where both decode alike."""
    teacher: Sampler
    problems: Sequence[Problem]
    held_out: Sequence[Problem]
    rollouts: int
    rollouts_drawn: int = field(default=0, init=False)
    tokens: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)
    """that evaluations took, baseline and gap among them"""

    def before(self, context: Context, group_size: int | None) -> Before:
        """Baseline and gap, with the same weights on both sides."""
        began = time.monotonic()
        teacher = SelfTeacher(self.teacher, {"train-context": context}, self.rollouts, group_size)
        plain, peers_of = self._plain("before"), teacher.peers("train-peers", self.problems)
        alike = self.student is self.sampler
        tables = self.sampler.draw([*plain, *peers_of] if alike else plain)
        rows, peers = tables[0], tables[len(plain) :]
        if not alike:
            asked = Draw.plain("train-asked", self.problems, self.rollouts)
            rows, *peers = self.student.draw([asked, *peers_of])
        for table in tables if alike else [*tables, rows, *peers]:
            self._count(arm_of("plain", table))
        taught = arm_of("train-context", teacher.draw(self.problems, rows, peers)["train-context"].rows)
        self._count(taught)
        held_out = arm_of("held-out-before", tables[1]).scores if self.held_out else None
        self.seconds += time.monotonic() - began
        before = arm_of("train-before", tables[0]).scores
        return Before(before, taught.scores, held_out, None if alike else arm_of("train-asked", rows).scores)

    def after(self, name: str) -> tuple[Scores, Scores | None]:
        """The student's scores of now, on the training and on the held-out problems."""
        began = time.monotonic()
        arms = [arm_of(name, table) for table in self.sampler.draw(self._plain(name))]
        for arm in arms:
            self._count(arm)
        self.seconds += time.monotonic() - began
        return arms[0].scores, arms[1].scores if self.held_out else None

    def _plain(self, name: str) -> list[Draw]:
        draws = [Draw.plain(f"train-{name}", self.problems, self.rollouts)]
        return draws + ([Draw.plain(f"held-out-{name}", self.held_out, self.rollouts)] if self.held_out else [])

    def _count(self, arm: Arm) -> None:
        self.rollouts_drawn += arm.rollouts
        self.tokens += arm.tokens


def _difference(arm: Scores, base: Scores) -> Difference:
    measured = estimate(arm, base)
    return Difference(value=measured.value, se=measured.se)


def evaluation(step: int, before: Before, scores: Scores, held_out: Scores | None) -> Evaluation:
    """How far the student has come after `step` steps."""
    held = None
    if held_out is not None and before.held_out is not None:
        held = _difference(held_out, before.held_out)
    problems, rollouts = scores.shape
    return Evaluation(
        step=step,
        accuracy=float(scores.mean()),
        accuracy_se=standard_error(scores),
        improvement=before.improvement(scores),
        cov=before.covariance(scores),
        problems=problems,
        rollouts=rollouts,
        held_out=held,
    )


def best_of(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluation with the largest improvement; of equal ones the first.

    Picking it favours it: it is reported beside the last one and never in its place.
    """
    return max(evaluations, key=lambda one: one.improvement.value)


def warn_of_no_learning(
    gap: Difference, improvement: Difference, taught: bool, moved: bool, warnings: Warnings
) -> None:
    """Says so when a run had something to learn from and did not.

    Args:
        gap: before the first step.
        improvement: after the last one.
        taught: whether any rollout had a context.
        moved: whether any step had a gradient other than zero.
        warnings: takes what is found.
    """
    if not taught:
        warnings.add("no_context", "No rollout had a context, so nothing was taught: the weights are as they were.")
    elif not moved:
        warnings.add("no_gradient", "Every gradient was zero: with the context the model says what it says without.")
    elif gap.value > 2 * gap.se and improvement.value < 2 * improvement.se:
        warnings.add(
            "no_learning",
            f"The gap is {gap.value:.3f}, but the student did not become better beyond noise: look at the loss, the "
            "learning rate and whether the contexts are right.",
            gap=gap.value,
        )
