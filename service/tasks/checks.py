"""Checks of a task file's lines: each becomes a canonical problem, or faults that name line and field."""

import hashlib
import json
from collections.abc import Iterable
from typing import IO, Any

from pydantic import ValidationError

from gapcast.contract.base import FieldError
from gapcast.contract.faults import sentence, unknown_field
from gapcast.contract.problems import MOST_PROBLEMS, ProblemIn, TaskHash, TaskIn, canonical
from service.errors import InvalidFile
from service.tasks.mapping import Columns, present
from service.tasks.presets import detect, unknown_columns
from service.tasks.task_files import Fault, Line
from service.tasks.told import MOST_FAULTS, Faults

LISTS = ("prompt", "tests", "hints")
"""fields that a CSV cell may hold as JSON"""
MISMATCHES = {"string_type", "list_type", "model_type"}
"""how pydantic says that a value is none of a choice's branches"""
CHOICES = {
    "prompt": "expected a text, or a list of messages with role and content",
    "tests": "expected a case with input and output, or a text: an assert statement",
}
"""fields that take one of several types, and which"""


class Problems:
    """The problems of one file, as far as it has been read: counts, hash and canonical lines, but no problem itself."""

    def __init__(self, task: TaskIn, out: IO[bytes], word: str, columns: Columns, *, cells: bool = False) -> None:
        """Begin without a problem; `cells`: each value is a text, as in CSV."""
        self._task, self._out, self._word = task, out, word
        self._columns, self._cells = columns, cells
        self._hash = TaskHash(task)
        self._lines_of: dict[bytes, int] = {}
        self._faults = Faults(word)
        self.counts = {"train": 0, "held_out": 0}
        self.hint_levels = self.with_hints = self.with_reference_solution = self.with_privileged_context = 0
        self.bytes = 0

    @property
    def revision(self) -> str:
        """The content hash of the task."""
        return self._hash.revision

    def take(self, lines: Iterable[Line | Fault]) -> None:
        """Check all lines and write what is stored of them: for each problem its split and id, then its canonical line.

        Raises:
            InvalidFile: names line, field and value of the first faults.
        """
        for line in lines:
            for fault in [line] if isinstance(line, Fault) else self._check(line):
                self._faults.add(fault)
        if self._faults:
            self._refuse()
        if not sum(self.counts.values()):
            raise InvalidFile("Nothing was stored. The file does not contain a problem.")
        if not self.counts["train"]:
            raise InvalidFile(
                "Nothing was stored. split: all problems are held out, but a gap is measured on training problems; "
                "leave `split` out, or set it to 'train'.",
                param="split",
                value="held_out",
            )

    def _check(self, line: Line) -> list[Fault]:
        try:
            row = present(self._columns.problem(line.row))
        except FieldError as fault:
            return [Fault(line.number, fault.param, fault.message, fault.value)]
        if self._cells:
            row |= {name: _unquoted(row[name]) for name in LISTS if name in row}
        unknown = sorted(row.keys() - ProblemIn.model_fields.keys())[:MOST_FAULTS]
        if unknown:
            layout = detect(line.row)
            if layout is not None:
                return [Fault(line.number, unknown[0], unknown_columns(unknown, layout))]
            return [Fault(line.number, name, unknown_field(name, ProblemIn.model_fields)) for name in unknown]
        try:
            problem = ProblemIn.model_validate(row)
        except ValidationError as error:
            return faults_of(error, line.number)
        verifier = self._task.verifier
        if verifier.needs is not None and getattr(problem, verifier.needs) is None:
            message = f"expected a value for the verifier `{verifier.kind}`, got nothing. Add it."
            return [Fault(line.number, verifier.needs, message)]
        wrong = verifier.answer_fault(problem.answer) if problem.answer is not None else None
        if wrong is not None:
            return [Fault(line.number, "answer", wrong, problem.answer)]
        problem.id = problem.id or f"line-{line.number}"
        first = self._lines_of.setdefault(hashlib.blake2b(problem.id.encode(), digest_size=16).digest(), line.number)
        if first != line.number:
            return [
                Fault(
                    line.number,
                    "id",
                    f"expected a different id for each problem, but {self._word} {first} has the same one.",
                    problem.id,
                )
            ]
        if len(self._lines_of) > MOST_PROBLEMS:
            raise InvalidFile(f"Nothing was stored. The file has more than {MOST_PROBLEMS} problems. Split it.")
        if not self._faults:
            self._keep(problem)
        return []

    def _keep(self, problem: ProblemIn) -> None:
        body = canonical(problem)
        self._hash.add(body)
        self._out.write(json.dumps([problem.split, problem.id]).encode() + b"\n" + body + b"\n")
        self.bytes += len(body)
        self.counts[problem.split] += 1
        if problem.split == "train":
            self.hint_levels = max(self.hint_levels, len(problem.hints))
            self.with_hints += bool(problem.hints)
            self.with_reference_solution += problem.reference_solution is not None
            self.with_privileged_context += problem.privileged_context is not None

    def _refuse(self) -> None:
        errors = self._faults.told()
        first = " ".join(one.with_value for one in errors[:3])
        others = len(errors) - 3 + self._faults.others
        more = f" And {others} more." if others > 0 else ""
        raise InvalidFile(f"Nothing was stored. {first}{more}", param=errors[0].param, errors=errors)


def _unquoted(cell: Any) -> Any:  # noqa: ANN401
    """A list that stands in a cell as JSON; any other text as it is."""
    if not isinstance(cell, str) or not cell.lstrip().startswith("["):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def faults_of(error: ValidationError, line: int) -> list[Fault]:
    """What pydantic says of a problem, with the branches of a choice put together."""
    found: dict[str, list[Fault]] = {}
    mismatched: dict[str, Fault] = {}
    for row in error.errors(include_url=False):
        place, value = row["loc"], row["input"]
        # the branch of a choice stands in the place, too: ("prompt", "list[Message]", 0, "role")
        branch = next((index for index, part in enumerate(place) if index and _is_branch(part)), None)
        parts = [str(part) for index, part in enumerate(place) if index != branch]
        field = ".".join(parts)
        if row["type"] == "missing":
            value = None
        raised = row.get("ctx", {}).get("error")
        if isinstance(raised, FieldError):
            parts, value = [*parts, raised.param], raised.value
            field = ".".join(parts)
        if branch is not None and branch == len(place) - 1 and row["type"] in MISMATCHES:
            mismatched.setdefault(field, Fault(line, field, CHOICES[parts[0]], value))
        else:
            choice = ".".join(parts[:branch]) if branch is not None else field
            found.setdefault(choice, []).append(Fault(line, field, sentence(row), value))
    # the branch that the value was meant for has more to say than the others that it is not
    other = [fault for field, fault in mismatched.items() if field not in found]
    return [*(fault for faults in found.values() for fault in faults), *other]


def _is_branch(part: int | str) -> bool:
    return isinstance(part, str) and (part in {"constrained-str", "TestCase", "str"} or "[" in part)
