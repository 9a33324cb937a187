"""The tasks that this worker has, by name."""

from functools import cache

from workers.failures import JobError
from workers.tasks.addition import AdditionTask
from workers.tasks.protocol import Task


@cache
def _bundled() -> dict[str, Task]:
    return {task.name: task for task in (AdditionTask(),)}


def task_names() -> list[str]:
    """The names of all tasks."""
    return sorted(_bundled())


def load_task(name: str, revision: str | None = None) -> Task:
    """The task called `name`; a `revision` must be the one this worker has.

    Raises:
        JobError: `task_not_found` or `task_revision_mismatch`.
    """
    task = _bundled().get(name)
    if task is None:
        raise JobError("task_not_found", f"There is no task {name!r} on this worker.", "task")
    if revision is not None and revision != task.revision:
        raise JobError(
            "task_revision_mismatch",
            f"Task {name!r} has revision {task.revision} on this worker, not {revision}.",
            "task_revision",
            "server",
        )
    return task
