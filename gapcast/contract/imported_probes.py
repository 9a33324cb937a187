"""Probes of other harnesses: the scores of two to four evaluations of the same problems."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from gapcast.contract.base import FieldError, Strict
from gapcast.contract.contexts import Context
from gapcast.contract.labels import Labelled
from gapcast.contract.measured import Decoding, NamedModel

MOST_PROBLEMS, MOST_ROLLOUTS = 100_000, 256
"""of an arm, as of a probe that is measured here"""
MOST_SCORES = 4_000_000
"""of all arms: 40 MB of JSON"""
SHOWN = 3
"""problems that an error names"""

ARMS = {"student": "student", "teacher": "context", "none": "none", "placebo": "placebo"}
"""the evaluations of an import, and the arms of a probe that they are"""


def _several(scores: Any) -> Any:  # noqa: ANN401
    return [scores] if isinstance(scores, int | float) else scores


Scores = Annotated[list[float], BeforeValidator(_several, json_schema_input_type=float | list[float])]
"""The scores of one problem's rollouts; one number is one rollout."""

Evaluation = dict[str, Scores]
"""Scores by problem."""


class ImportedProbe(Labelled, Strict):
    """A gap that another harness has measured: the scores of each problem without and with the context."""

    model: NamedModel
    task: str = Field(min_length=1, max_length=255, description="your name of the problems; need not be stored here")
    context: Context
    decoding: Decoding = Field(default_factory=Decoding, description="of every evaluation")
    harness: str | None = Field(
        None, min_length=1, max_length=64, description="the program that measured, such as `verifiers`"
    )
    student: Evaluation = Field(
        description="scores from 0 to 1 by problem, one for each rollout, without the context; each evaluation has the "
        "same problems and as many rollouts of each"
    )
    teacher: Evaluation = Field(description="the same model with the context")
    none: Evaluation | None = Field(None, description="a second evaluation without the context: the A/A control")
    placebo: Evaluation | None = Field(None, description="an evaluation with another problem's context")

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """Those that were sent, by the name of their arm in a probe."""
        given = {arm: getattr(self, name) for name, arm in ARMS.items()}
        return {arm: scores for arm, scores in given.items() if scores is not None}

    @property
    def problems(self) -> list[str]:
        """In the student's order."""
        return list(self.student)

    @property
    def rollouts(self) -> int:
        """Of each problem and evaluation."""
        return len(next(iter(self.student.values())))

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        evaluations = {name: getattr(self, name) for name in ARMS if getattr(self, name) is not None}
        if self.context.is_control and "placebo" in evaluations:
            message = f"a context of kind {self.context.kind} is a control itself and does not have a placebo."
            raise FieldError("placebo", f"{message} Leave it out.")
        total = sum(map(len, (scores for one in evaluations.values() for scores in one.values())))
        if total > MOST_SCORES:
            message = f"expected at most {MOST_SCORES} scores in all evaluations, got {total}. Import fewer problems."
            raise FieldError("student", message)
        for name, evaluation in evaluations.items():
            _check(name, evaluation)
        for name, evaluation in evaluations.items():
            _check_pair(name, evaluation, self.student)
        return self


def _check(name: str, evaluation: Evaluation) -> None:
    """Refuse what cannot be an arm of a probe.

    Raises:
        FieldError: names the problems.
    """
    if not 2 <= len(evaluation) <= MOST_PROBLEMS:
        raise FieldError(
            name, f"expected the scores of 2 to {MOST_PROBLEMS} problems, got {len(evaluation)}. Send others."
        )
    unnamed = [problem for problem in evaluation if not 1 <= len(problem) <= 255 or "\x00" in problem]
    if unnamed:
        message = f"expected names of problems of 1 to 255 characters, got {unnamed[0][:80]!r}. Give it another."
        raise FieldError(name, message)
    outside = {problem: scores for problem, scores in evaluation.items() if not all(0 <= one <= 1 for one in scores)}
    if outside:
        problem, scores = next(iter(outside.items()))
        bad = next(one for one in scores if not 0 <= one <= 1)
        raise FieldError(
            name,
            f"expected scores from 0 to 1, got {bad:g} of problem {problem[:80]!r}{_of(outside, evaluation)}. "
            "Divide by the most that a problem gives.",
            bad,
        )
    usual = Counter(map(len, evaluation.values())).most_common(1)[0][0]
    mixed = {problem: len(scores) for problem, scores in evaluation.items() if len(scores) != usual}
    if mixed:
        problem, number = next(iter(mixed.items()))
        raise FieldError(
            name,
            f"expected as many rollouts of every problem, got {usual} of most and {number} of "
            f"{problem[:80]!r}{_of(mixed, evaluation)}. Complete them, or leave these problems out everywhere.",
        )
    if not 1 <= usual <= MOST_ROLLOUTS:
        raise FieldError(name, f"expected 1 to {MOST_ROLLOUTS} rollouts of a problem, got {usual}. Send others.")


def _check_pair(name: str, evaluation: Evaluation, student: Evaluation) -> None:
    """Refuse an evaluation of other problems than the student's, or with other numbers of rollouts.

    Raises:
        FieldError: says how many, and names some.
    """
    missing = [problem for problem in student if problem not in evaluation]
    more = [problem for problem in evaluation if problem not in student]
    if missing or more:
        parts = [f"lacks {len(missing)} of them ({_listed(missing)})"] if missing else []
        parts += [f"has {len(more)} others ({_listed(more)})"] if more else []
        raise FieldError(
            name,
            f"expected the {len(student)} problems of student, got an evaluation that {' and '.join(parts)}. Evaluate "
            "the same problems, or leave those out that only one has.",
        )
    ours, theirs = len(next(iter(evaluation.values()))), len(next(iter(student.values())))
    if ours != theirs:
        raise FieldError(
            name,
            f"expected {theirs} rollouts of each problem as in student, got {ours}. Send as many in every evaluation.",
        )


def _of(some: Mapping[str, object], everything: Evaluation) -> str:
    return f" ({len(some)} of {len(everything)} problems have such)" if len(some) > 1 else ""


def _listed(problems: Sequence[str]) -> str:
    more = len(problems) - SHOWN
    return ", ".join(repr(one[:80]) for one in problems[:SHOWN]) + (f" and {more} more" if more > 0 else "")
