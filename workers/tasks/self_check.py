"""The self-check of a task: completions whose score is known, scored by the task's own verifier.

A problem holds if its reference scores 1, an empty text and a text that is no answer score 0, and the reference of
another problem does not score 1. The reference is the problem's `reference_solution`, or its answer where it has none
and the verifier takes a bare answer for a completion.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from gapcast.contract.catalog import CheckFault, Completion, SelfCheck
from gapcast.contract.problems import PythonTestsVerifier
from workers.failures import JobError
from workers.processors import usable_processors
from workers.tasks.file_task import FileTask
from workers.tasks.protocol import Problem, Split, Verdict

MOST_SLOW = 500
"""problems that are checked where verifying one starts processes: a few minutes on two cores"""
MOST_SHOWN = 5
"""ids of problems that are told of each fault"""
LOOK = 20
"""problems among which one with another answer is looked for: choices repeat, but seldom so often"""
SILLY = "There is no way to tell.\n\n```python\npass\n```"
"""no answer of any kind, and a program that does nothing"""
NOT_AN_ANSWER = frozenset({"regex", "python_tests", "plugin"})
"""verifiers whose `answer` is a pattern, nothing, or known to a plugin alone"""
BROKEN = frozenset({"test_invalid", "verifier_failed"})
"""failures of one problem; any other is the worker's, and ends the check"""

Report = Callable[[int, int], None]


class Checked(NamedTuple):
    """One problem's check."""

    problem: Problem
    has_reference: bool
    faults: list[tuple[Completion, str]]
    """the completions that do not score as they must, with the verifier's note"""


def check(task: FileTask, report: Report) -> SelfCheck:
    """Check a task's problems.

    Args:
        task: what is checked.
        report: called with how many problems are done, and how many there are to do.

    Raises:
        JobError: the verifier cannot run here, whatever the problem.
    """
    began = time.monotonic()
    total = sum(len(task.problems(split)) for split in Split)
    most = min(total, MOST_SLOW) if task.slow else total
    faults: dict[Completion, CheckFault] = {}
    checked = right = without = 0
    with ThreadPoolExecutor(usable_processors() if task.slow else 1) as pool:
        for one in pool.map(lambda place: _checked(task, *place), _spread(task, most, total)):
            checked += 1
            right += not one.faults
            without += not one.has_reference
            for completion, note in one.faults:
                fresh = CheckFault(completion=completion, problems=0, first=[], note=note)
                fault = faults.setdefault(completion, fresh)
                fault.problems += 1
                fault.first += [one.problem.id] if len(fault.first) < MOST_SHOWN else []
            report(checked, most)
    return SelfCheck(
        share=right / checked,
        checked=checked,
        problems=total,
        without_reference=without,
        faults=list(faults.values()),
        seconds=time.monotonic() - began,
    )


def _spread(task: FileTask, most: int, total: int) -> Iterator[tuple[Sequence[Problem], int]]:
    """At most so many problems, evenly spread over the task, as their splits and their places in them."""
    number = 0
    for split in Split:
        problems = task.problems(split)
        for place in range(len(problems)):
            if (number + 1) * most // total > number * most // total:
                yield problems, place
            number += 1


def _checked(task: FileTask, problems: Sequence[Problem], place: int) -> Checked:
    problem = problems[place]
    reference = _reference(task, problem)
    texts: list[tuple[Completion, str | None]] = [
        ("reference", reference),
        ("empty", ""),
        ("silly", SILLY),
        ("other", _reference_of_another(task, problems, place)),
    ]
    faults: list[tuple[Completion, str]] = []
    for completion, text in texts:
        if text is None:
            continue
        try:
            verdict = task.verify(problem, text)
        except JobError as error:
            if error.code not in BROKEN:
                raise
            faults.append((completion, str(error)))
            break
        if not _as_it_must(completion, verdict):
            faults.append((completion, _why(task, problem, completion, verdict)))
    return Checked(problem, reference is not None, faults)


def _why(task: FileTask, problem: Problem, completion: Completion, verdict: Verdict) -> str:
    if completion == "reference" and isinstance(task.spec, PythonTestsVerifier):
        from workers.tasks.python_tests import reference_fault  # only such a task needs the sandbox

        return reference_fault(problem, task.spec) or verdict.note
    return f"scored {verdict.score:g}: {verdict.note}"


def _as_it_must(completion: Completion, verdict: Verdict) -> bool:
    if completion == "reference":
        return verdict.success
    return not verdict.success if completion == "other" else verdict.score == 0


def _reference(task: FileTask, problem: Problem) -> str | None:
    """A completion that must score 1; null where none is known."""
    if problem.reference_solution is not None or task.verifier in NOT_AN_ANSWER:
        return problem.reference_solution
    return problem.answer


def _reference_of_another(task: FileTask, problems: Sequence[Problem], place: int) -> str | None:
    """The reference of one of the next problems that has another answer; null where there is none."""
    mine = problems[place]
    if mine.answer is None and not mine.tests:
        return None
    for step in range(1, min(LOOK, len(problems))):
        other = problems[(place + step) % len(problems)]
        reference = _reference(task, other)
        differs = (other.answer, other.tests) != (mine.answer, mine.tests) and reference != _reference(task, mine)
        if differs and reference is not None:
            return reference
    return None
