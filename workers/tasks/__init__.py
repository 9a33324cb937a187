"""Problem sets, verifiers and feedback."""

from workers.tasks.protocol import Problem, Split, Task
from workers.tasks.registry import load_task, task_names
from workers.tasks.seeds import derive_seed, derive_unit

__all__ = ["Problem", "Split", "Task", "derive_seed", "derive_unit", "load_task", "task_names"]
