"""The tasks that this worker has, by name, and those that it is given as a folder."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from gapcast.contract.problems import SCORING_VERSION
from workers.failures import JobError
from workers.tasks.addition import AdditionTask
from workers.tasks.cipher import CipherTask
from workers.tasks.file_task import FileTask
from workers.tasks.lab import LabTask
from workers.tasks.protocol import Task

LAB: Mapping[str, LabTask] = {task.name: task for task in (AdditionTask(), CipherTask())}
"""The lab's tasks, which are made and need no file."""

DATA = Path(__file__).parent / "data"
BUNDLED = {"gapcast/word-problems": DATA / "word-problems", "gapcast/functions": DATA / "functions"}
"""The tasks that come with Gapcast as files."""


@cache
def _bundled(name: str) -> Task:
    return LAB[name] if name in LAB else FileTask(BUNDLED[name])


def task_names() -> list[str]:
    """The names of all tasks that come with Gapcast."""
    return sorted([*LAB, *BUNDLED])


def load_task(name: str, revision: str | None = None, folder: Path | None = None) -> Task:
    """The task called `name`; a `revision` must be the one this worker has. An uploaded one lies in `folder`.

    Raises:
        JobError: `task_not_found`, `task_revision_mismatch`, `task_file_broken`, `verifier_not_found`,
            `verifier_failed`, or `sandbox_unavailable` for a task that runs code: before a model is loaded for it.
    """
    if folder is not None:
        return load_file_task(folder, revision)
    if name not in task_names():
        raise JobError("task_not_found", f"There is no task {name!r} on this worker.", "task")
    task = _bundled(name)
    if revision is not None and revision != task.revision:
        raise JobError(
            "task_revision_mismatch",
            f"Task {name!r} has revision {task.revision} on this worker, not {revision}.",
            "task_revision",
            "server",
        )
    if isinstance(task, FileTask):
        _require_runnable(task)
    return task


def require_scoring_version(version: str | None) -> None:
    """Refuse a configuration that was made for other verifiers than this worker has; None is any.

    Raises:
        JobError: `scoring_version_mismatch`.
    """
    if version not in {None, SCORING_VERSION}:
        raise JobError(
            "scoring_version_mismatch",
            f"scoring_version: expected {SCORING_VERSION!r}, that of this worker's verifiers, got {version!r}. Run the "
            "same release of Gapcast on the server and on the worker.",
            "scoring_version",
            "server",
        )


def load_file_task(folder: Path, revision: str | None = None) -> FileTask:
    """The task in a folder; a `revision` must be the one that it has.

    Raises:
        JobError: as of `load_task`.
    """
    task = FileTask(folder, revision)
    _require_runnable(task)
    return task


def _require_runnable(task: FileTask) -> None:
    if task.verifier == "python_tests":
        from workers.tasks.python_tests import require_sandbox  # only such a task needs the sandbox

        require_sandbox()
