"""What is said of a task's self-check."""

from gapcast.contract.catalog import LEAST_SHARE, CheckFault, SelfCheck, Task
from gapcast.words import count, percent, waits, whole_percent

MUST = {
    "reference": "the reference does not score 1",
    "empty": "an empty completion does not score 0",
    "silly": "a completion that is not an answer does not score 0",
    "other": "another problem's reference scores 1",
}
"""by the completion that does not score as it must"""
STATUSES = {"checking": "being checked", "ready": "ready", "refused": "refused by its self-check"}


def checking(task: Task) -> str:
    """Say how far a self-check is, or why it waits."""
    if task.progress is not None:
        return f"self-check: {task.progress.done} of {count(task.progress.problems, 'problem')}"
    return f"self-check: {waits(task.waiting)}"


def self_check(check: SelfCheck) -> list[str]:
    """Say what a self-check has found: the share of problems that hold, and then each kind of fault."""
    of = f"{check.checked} of {check.problems}" if check.checked < check.problems else str(check.checked)
    lines = [f"{percent(check.share)} of {of} problems are scored as they must be"]
    if check.without_reference:
        lines.append(f"{count(check.without_reference, 'problem')} without a reference: of these only wrong ones count")
    return lines + [_fault(fault) for fault in check.faults]


def _fault(fault: CheckFault) -> str:
    more = ", ..." if fault.problems > len(fault.first) else ""
    return (
        f"{count(fault.problems, 'problem')}: {MUST[fault.completion]} ({', '.join(fault.first)}{more}): {fault.note}"
    )


def share_of(task: Task) -> str:
    """Write what is known of a task's self-check in a word."""
    if task.self_check is None:
        return "did not run" if task.error is not None else "checking" if task.status == "checking" else ""
    return f"{percent(task.self_check.share)}{' (refused)' if task.status == 'refused' else ''}"


def refused_task(task: Task) -> str:
    """Say why a task cannot be used, and what to do."""
    if task.error is not None:
        why = f"its self-check did not run: {task.error.message}"
    else:
        why = f"its self-check holds for fewer than {whole_percent(LEAST_SHARE)} of its problems"
    return f"{task.name} is not used: {why}. Correct the file or the verifier, or add it with --accept."
