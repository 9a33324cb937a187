# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.tasks`: what a gap is measured on."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gapcast.client.fields import Split
from gapcast.client.files import CHECKING, PIECE, task_media_type
from gapcast.client.requests import MOST_A_PAGE, name_path, without_nones
from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.contract.problems import VerifierKind
from gapcast.models import Task, TaskProblem

ALL = "/v1/tasks"


class FileBody:
    """A file as a request's body, read from the disk as it is sent, and from its beginning each time it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


class Tasks(Resource):
    """Tasks: `/v1/tasks`."""

    def create(
        self,
        path: str | os.PathLike[str],
        name: str,
        verifier: VerifierKind,
        *,
        options: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        preamble: str | None = None,
        idempotency_key: str | None = None,
    ) -> Task:
        """Store a task file, .jsonl, .ndjson or .parquet: all of its problems, or none.

        The same content again is the same revision; other content under the same name is a new one, which the name
        means from then on. A post whose answer is lost is repeated under the same `idempotency_key`.

        Args:
            path: the file; its ending gives its format.
            name: lower-case, such as `mine/additions`.
            verifier: how completions are scored.
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
        body = FileBody(file)
        answer = self._connection.create(
            ALL,
            idempotency_key,
            {"Content-Type": media, "Content-Length": str(body.size)},
            params=without_nones(
                {"name": name, "verifier": verifier, "options": given, "max_tokens": max_tokens, "preamble": preamble}
            ),
            content=body,
            timeout=CHECKING,
        )
        return self._connection.read(Task, answer)

    def list(self) -> Page[Task]:
        """List the tasks, the bundled ones, then uploaded ones in their newest revisions, all on one page."""
        return self._connection.page(Task, ALL, {})

    def get(self, name: str) -> Task:
        """Read the newest revision of a task."""
        return self._connection.get(Task, f"{ALL}/{name_path(name)}")

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
