"""`python -m workers.checking REQUEST`: reads a task file (standard input) and checks it; nothing is stored.

The request is a JSON object of `media_type`, `verifier`, `options`, `layout` and `columns`, as an upload has them.
Lines of JSON come out: `{"progress": {...}}` while it goes, then one `{"result": {...}}`, `{"refused": {...}}` (what a
server would have answered to the upload) or `{"error": {...}}` (the verifier cannot run here).
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from gapcast.contract.base import JsonObject
from service.kit.errors import GapcastError
from service.settings import Settings
from service.tasks import task_files, uploads
from service.tasks.export import HEADER, PROBLEMS
from service.tasks.mapping import columns_of
from workers.failures import JobError
from workers.tasks.registry import load_file_task
from workers.tasks.self_check import check

MOST_BYTES: int = Settings.model_fields["max_task_bytes"].default
NAME = "checked"
"""of the task, which never has one"""


def check_file(file: IO[bytes], asked: JsonObject, report: Callable[[int, int], None]) -> JsonObject:
    """Check a file as an upload is checked, first its lines and then its scores.

    Raises:
        GapcastError: the file, or what is asked, does not fit.
        JobError: the verifier cannot run here.
    """
    form = task_files.form_of(asked["media_type"])
    columns = columns_of(asked["layout"], asked["columns"])
    task = uploads.header(NAME, asked["verifier"], asked["options"], {}, asked["layout"])
    with TemporaryDirectory() as made:
        folder = Path(made)
        with task_files.scratch(folder) as unpacked, task_files.scratch(folder) as checked:
            uploads.prepare(file, form or "ndjson", task, unpacked, checked, MOST_BYTES, columns)
            (folder / HEADER).write_text(task.model_dump_json())
            checked.seek(0)
            with (folder / PROBLEMS).open("wb") as problems:
                problems.writelines(line for number, line in enumerate(checked) if number % 2)
        return check(load_file_task(folder), report).model_dump(mode="json")


def main() -> int:
    """Check the file."""

    def say(**line: JsonObject) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    try:
        found = check_file(
            sys.stdin.buffer,
            json.loads(sys.argv[1]),
            lambda done, problems: say(progress={"done": done, "problems": problems}),
        )
    except GapcastError as error:
        errors = [row.model_dump(mode="json") for row in error.errors]
        say(refused={"detail": error.detail, "code": error.code, "param": error.param, "errors": errors})
        return 2
    except JobError as error:
        say(error=error.as_dict())
        return 1
    say(result=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
