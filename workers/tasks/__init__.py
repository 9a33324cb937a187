"""Problem sets, verifiers and feedback."""

from workers.tasks.protocol import Case, Problem, Split, Task, Verdict
from workers.tasks.registry import load_task, require_scoring_version, task_names
from workers.tasks.seeds import derive_seed, derive_unit

__all__ = [
    "Case",
    "Problem",
    "Split",
    "Task",
    "Verdict",
    "derive_seed",
    "derive_unit",
    "load_task",
    "require_scoring_version",
    "task_names",
]
