"""The entry point of a job that checks a task."""

from pathlib import Path

from gapcast.contract.catalog import SelfCheck
from gapcast.contract.events import TaskChecked
from workers.tasks.registry import load_file_task
from workers.tasks.self_check import check
from workers.work import Work


def run(work: Work) -> SelfCheck:
    """Check the task.

    Raises:
        JobError: this worker cannot verify its problems.
    """
    folder = Path(work.resources["task_folder"])
    task = load_file_task(folder, work.configuration["task_revision"])
    return check(task, lambda done, problems: work.emit(TaskChecked(done=done, problems=problems)))
