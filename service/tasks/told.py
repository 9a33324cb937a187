"""What is told of a file that does not fit: each fault once, with how often and where it is."""

import re

from gapcast.contract.faults import naming
from service.kit.errors import FieldProblem
from service.kit.problems import field_problems
from service.tasks.task_files import Fault

MOST_FAULTS = 20
"""different faults that are told: who has more wants to see the first ones"""
FIRST = 5
"""lines that are named beside the first one"""


class Faults:
    """The faults of a file, each different one with the lines in which it is."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._first: dict[tuple[str, str], Fault] = {}
        self._lines: dict[tuple[str, str], list[int]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self.others = 0
        """faults of further kinds"""

    def __bool__(self) -> bool:
        return bool(self._first)

    def add(self, fault: Fault) -> None:
        """Take one."""
        key = re.sub(r"\.\d+", ".#", fault.field), _without_values(fault.message)
        if key not in self._first:
            if len(self._first) == MOST_FAULTS:
                self.others += 1
                return
            self._first[key], self._lines[key], self._counts[key] = fault, [], 0
        self._counts[key] += 1
        if 1 < self._counts[key] <= FIRST + 1:
            self._lines[key].append(fault.line)

    def told(self) -> list[FieldProblem]:
        """Return the first fault of each kind, and how many more lines have it."""
        return [self._told(key) for key in self._first]

    def _told(self, key: tuple[str, str]) -> FieldProblem:
        fault, more = self._first[key], self._counts[key] - 1
        message = f"{self._word} {fault.line}: {fault.message}"
        # a name may be anything: half a surrogate pair, a megabyte
        field = fault.field[:80].encode(errors="backslashreplace").decode()
        row = {"type": "told", "loc": (field,), "msg": message, "input": fault.value}
        problem = field_problems([row], f"{self._word}s.{fault.line}")[0]
        if more:
            where = ", ".join(map(str, self._lines[key])) + (", ..." if more > FIRST else ".")
            plural = "s" if more > 1 else ""
            problem.message = (
                f"{naming(problem.message, problem.value)} The same in {more} more {self._word}{plural}: {where}"
            )
        return problem


def _without_values(message: str) -> str:
    """The kind of a fault: its message without what was sent and without numbers."""
    return re.sub(r"\d+", "#", re.split(r",? (?:got|but) ", message, maxsplit=1)[0])
