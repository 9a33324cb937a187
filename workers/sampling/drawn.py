"""The problems that a probe measures, in a drawn order."""

import random
from collections.abc import Sequence
from typing import overload

from workers.failures import JobError
from workers.tasks import Problem, Split, Task, derive_seed


class DrawnProblems(Sequence[Problem]):
    """`count` problems of a split, drawn without replacement; with the same seed fewer are the first of more.

    They are read from the task when they are asked for, so that a probe of 100,000 never holds them all. `param` is the
    field that asked for so many.

    Raises:
        JobError: `not_enough_problems`.
    """

    def __init__(
        self, task: Task, count: int, seed: int, split: Split = Split.train, param: str = "probe.problems"
    ) -> None:
        self._problems = task.problems(split)
        if count > len(self._problems):
            raise JobError(
                "not_enough_problems",
                f"Task {task.name!r} has {len(self._problems)} {split} problems; {count} were asked for.",
                param,
            )
        order = list(range(len(self._problems)))
        random.Random(derive_seed("problems", split, seed)).shuffle(order)  # noqa: S311 - a sample, not a secret
        self._order = order[:count]

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Problem: ...

    @overload
    def __getitem__(self, index: slice) -> list[Problem]: ...

    def __getitem__(self, index: int | slice) -> Problem | list[Problem]:
        if isinstance(index, slice):
            return [self._problems[place] for place in self._order[index]]
        return self._problems[self._order[index]]


def draw_problems(
    task: Task, count: int, seed: int, split: Split = Split.train, param: str = "probe.problems"
) -> list[Problem]:
    """The same as `DrawnProblems`, all at once.

    Raises:
        JobError: `not_enough_problems`.
    """
    return list(DrawnProblems(task, count, seed, split, param))
