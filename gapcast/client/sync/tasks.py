# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.tasks`: what a gap is measured on."""

import gzip
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from gapcast.client.fields import Split
from gapcast.client.files import CHECKING, PACKED, PIECE, task_media_type
from gapcast.client.requests import MOST_A_PAGE, name_path, without_nones
from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.contract.problems import Preset, VerifierKind
from gapcast.models import Task, TaskProblem

ALL = "/v1/tasks"
LOOK = 0.5
"""seconds between two looks at a check, which may take less than one"""


class FileBody:
    """A file as a request's body, read from the disk as it is sent, and from its beginning each time it is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece


def opened(path: Path) -> IO[bytes]:
    """Open a file; of one that is packed with gzip, what it unpacks to."""
    if path.suffix.lower() != PACKED:
        return path.open("rb")
    unpacked = TemporaryFile()  # noqa: SIM115 - the caller closes it
    with gzip.open(path, "rb") as packed:
        shutil.copyfileobj(packed, unpacked)
    unpacked.seek(0)
    return unpacked


class Tasks(Resource):
    """Tasks: `/v1/tasks`."""

    def create(
        self,
        path: str | os.PathLike[str],
        name: str,
        verifier: VerifierKind | None = None,
        *,
        layout: Preset | None = None,
        columns: Mapping[str, str] | None = None,
        accept: bool = False,
        options: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        preamble: str | None = None,
        idempotency_key: str | None = None,
    ) -> Task:
        """Store a task file, .jsonl, .ndjson, .json, .csv or .parquet: all of its problems, or none.

        A worker then checks it, and until then its status is `checking`; `wait` waits for that. The same content again
        is the same revision; other content under the same name is a new one, which the name means once it is ready. A
        post whose answer is lost is repeated under the same `idempotency_key`.

        Args:
            path: the file; its ending gives its format, `.gz` after it that it is packed.
            name: lower-case, such as `mine/additions`.
            verifier: how completions are scored; None: as the layout says.
            layout: the public layout that the file has, such as `gsm8k`.
            columns: the column of each field that has another name in the file, `{"prompt": "question"}`; a value
                inside a column is `reward_model.ground_truth`.
            accept: use the task whatever its self-check finds.
            options: the verifier's.
            max_tokens: of a completion, where a configuration leaves it open; None: 512.
            preamble: the default text of the context kind `static`; None: a plain one.
            idempotency_key: names this post; None: a fresh one.

        Raises:
            InvalidRequest: the server refused; `errors` names line and field of each mistake.
            GapcastError: the server refused, or no answer came.
            ValueError: the file's ending is none of these, or JSON cannot hold the options.
            OSError: the file cannot be read.
        """
        file = Path(path)
        media = task_media_type(file)
        given = json.dumps(dict(options), allow_nan=False) if options is not None else None
        params = {"name": name, "verifier": verifier, "options": given, "max_tokens": max_tokens, "preamble": preamble}
        read = {"from": layout, "map": [f"{field}={column}" for field, column in (columns or {}).items()] or None}
        with opened(file) as content:
            body = FileBody(content)
            answer = self._connection.create(
                ALL,
                idempotency_key,
                {"Content-Type": media, "Content-Length": str(body.size)},
                params=without_nones(params | read | {"accept": "true" if accept else None}),
                content=body,
                timeout=CHECKING,
            )
        return self._connection.read(Task, answer)

    def wait(self, task: Task, report: Callable[[Task], None] = lambda _: None) -> Task:
        """Wait until a task has been checked, and return it with its `self_check`.

        Args:
            task: as `create` has returned it.
            report: called with the task at each look.
        """
        while task.self_check is None and task.error is None:
            report(task)
            time.sleep(LOOK)
            task = self.get(task.name, revision=task.revision)
        return task

    def list(self) -> Page[Task]:
        """List the tasks, the bundled ones, then uploaded ones in their newest revisions, all on one page."""
        return self._connection.page(Task, ALL, {})

    def get(self, name: str, *, revision: str | None = None) -> Task:
        """Read a task: the newest revision that is ready, or the one that is asked for."""
        return self._connection.get(Task, f"{ALL}/{name_path(name)}", {"revision": revision})

    def problems(
        self, name: str, *, split: Split | None = None, limit: int = MOST_A_PAGE, after: str | None = None
    ) -> Page[TaskProblem]:
        """List the problems of an uploaded task, in the file's order; iterate over the page to read all.

        Long texts and lists are truncated.

        Args:
            name: of the task.
            split: of this split alone.
            limit: how many on a page, at most 100.
            after: the problem's id after which the page begins.
        """
        query = {"split": split, "limit": limit, "after": after}
        return self._connection.page(TaskProblem, f"{ALL}/{name_path(name)}/problems", query)
