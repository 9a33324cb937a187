"""A task that lives in a folder: `task.json` (its header) and `problems.jsonl` (canonical lines; docs/tasks.md)."""

import json
import os
import weakref
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from pydantic import ValidationError

from gapcast.contract.problems import ProblemIn, TaskHash, TaskIn, Verifier
from workers.failures import JobError
from workers.tasks.protocol import Problem, Split, Verdict
from workers.tasks.verifiers import verifier

HEADER = "task.json"
PROBLEMS = "problems.jsonl"
LONG_LINE = 1 << 20
"""bytes of a problem whose tests are read each time they are run: a probe holds its problems, and hidden tests may take
megabytes each"""


class FileTask:
    """Implements `workers.tasks.protocol.Task`; holds 16 bytes a problem in memory and reads problems on demand."""

    def __init__(self, folder: Path, revision: str | None = None) -> None:
        """Read the folder once, line by line; with a `revision` its content must be that one.

        Raises:
            JobError: `task_not_found`, `task_file_broken`, `task_revision_mismatch` or a verifier's own.
        """
        try:
            self._header = TaskIn.model_validate_json((folder / HEADER).read_bytes())
            file = _OpenFile(folder / PROBLEMS)
        except OSError as error:
            message = f"The task's files cannot be read: {folder.name}: {error.strerror}"
            raise JobError("task_not_found", message, "task", "server") from error
        except ValidationError as error:
            raise _broken(folder, HEADER, error) from error
        self._lines = {split: _Lines(file, folder) for split in Split}
        self.hint_levels = 0
        digest = TaskHash(self._header)
        offset = 0
        with open(os.dup(file.descriptor), "rb") as lines:
            for number, line in enumerate(lines, start=1):
                content = line.rstrip(b"\n")
                digest.add(content)
                try:
                    fields = json.loads(content)
                    split = Split(fields["split"])
                except (ValueError, LookupError, TypeError, RecursionError) as error:
                    raise _broken(folder, f"{PROBLEMS}, line {number}", error) from error
                self._lines[split].add(offset, len(content))
                self.hint_levels = max(self.hint_levels, len(fields.get("hints", ())))
                offset += len(line)
        self.revision = digest.revision
        if revision is not None and revision != self.revision:
            message = f"Task {self.name!r} has revision {self.revision} on this worker, not {revision}."
            raise JobError("task_revision_mismatch", message, "task_revision", "server")
        self._verify = verifier(self._header.verifier)

    @property
    def name(self) -> str:
        """The catalogue's name."""
        return self._header.name

    @property
    def verifier(self) -> str:
        """The verifier's kind."""
        return self._header.verifier.kind

    @property
    def spec(self) -> Verifier:
        """The verifier with its options."""
        return self._header.verifier

    @property
    def max_tokens(self) -> int:
        """Tokens a completion may have where the decoding leaves it open."""
        return self._header.max_tokens

    @property
    def preamble(self) -> str:
        """The default text of the context kind `static`."""
        return self._header.preamble

    @property
    def slow(self) -> bool:
        """Whether the verifier starts processes."""
        return self._header.verifier.starts_processes

    def problems(self, split: Split) -> Sequence[Problem]:
        """The problems of a split in the file's order; each access reads one line."""
        return self._lines[split]

    def verify(self, problem: Problem, completion: str) -> Verdict:
        """Score a completion; thread-safe where a plugin is."""
        return self._verify(problem, completion)

    def hint_text(self, problem: Problem, level: int) -> str:
        """The first `level` graded hints, one a line; all of them where the problem has fewer."""
        return "\n".join(problem.hints[:level])


class _OpenFile:
    """A file that stays open for as long as somebody reads from it, even if it is replaced meanwhile."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)


class _Lines(Sequence[Problem]):
    """The problems of one split, by byte offset: access takes the same time anywhere in the file."""

    def __init__(self, file: _OpenFile, folder: Path) -> None:
        self._file = file
        self._folder = folder
        self._offsets = array("Q")
        self._lengths = array("Q")

    def add(self, offset: int, length: int) -> None:
        self._offsets.append(offset)
        self._lengths.append(length)

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> Problem: ...

    @overload
    def __getitem__(self, index: slice) -> list[Problem]: ...

    def __getitem__(self, index: int | slice) -> Problem | list[Problem]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        line = self._read(index)
        try:
            problem = _problem(ProblemIn.model_validate_json(line))
            if len(line) > LONG_LINE:
                return replace(
                    problem, tests=_Tests(lambda: json.loads(self._read(index))["tests"], len(problem.tests))
                )
            return problem
        except ValidationError as error:
            raise _broken(self._folder, f"{PROBLEMS}, byte {self._offsets[index]}", error) from error

    def _read(self, index: int) -> bytes:
        return os.pread(self._file.descriptor, self._lengths[index], self._offsets[index])  # threads share no position


class _Tests(Sequence[Any]):
    """The tests of one problem, which are read when they are run and not kept."""

    def __init__(self, read: Callable[[], list[Any]], count: int) -> None:
        self._read, self._count = read, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return iter(self._read())

    @overload
    def __getitem__(self, index: int) -> Any: ...  # noqa: ANN401

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        return self._read()[index]


def _problem(fields: ProblemIn) -> Problem:
    prompt = fields.prompt
    return Problem(
        id=str(fields.id),
        split=Split(fields.split),
        prompt=prompt if isinstance(prompt, str) else tuple(message.model_dump() for message in prompt),
        answer=fields.answer,
        tests=tuple(test if isinstance(test, str) else test.model_dump() for test in fields.tests or ()),
        fn_name=fields.fn_name,
        reference_solution=fields.reference_solution,
        privileged_context=fields.privileged_context,
        hints=tuple(fields.hints),
    )


def _broken(folder: Path, place: str, error: Exception) -> JobError:
    return JobError(
        "task_file_broken", f"The task's files are broken: {folder.name}: {place}: {error}"[:500], "task", "server"
    )
