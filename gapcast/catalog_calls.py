"""The client's calls for what can be asked for: models, tasks of one's own and others, context kinds."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx2

from gapcast.connection import Connection, without_nones
from gapcast.contract.base import Listing
from gapcast.contract.problems import VerifierKind
from gapcast.models import ContextKind, Model, Task, TaskProblem
from gapcast.reading import read

Split = Literal["train", "held_out"]

TASK_MEDIA_TYPES = {
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
}
"""by the file's ending"""
CHECKING = httpx2.Timeout(75.0, read=900.0)
"""seconds; the largest file that a server takes may need minutes of unpacking and checking before it answers"""
PIECE = 1 << 16


class FileBody:
    """A file as a request's body, read from the disk as it is sent, and from its beginning each time it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


class CatalogCalls(Connection):
    """What a client asks of `/v1/models`, `/v1/tasks` and `/v1/context_kinds`."""

    def list_models(self) -> list[Model]:
        """List the models that a worker can load: the lab's and those of the server's settings."""
        return read(Listing[Model], self.request("GET", "/v1/models")).data

    def get_model(self, name: str) -> Model:
        """Read one model."""
        return read(Model, self.request("GET", f"/v1/models/{_path(name)}"))

    def list_context_kinds(self) -> list[ContextKind]:
        """List the ways to build the self-teacher's context, with their options' JSON Schema and an example."""
        return read(Listing[ContextKind], self.request("GET", "/v1/context_kinds")).data

    def add_task(
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
        means from then on. A post whose answer is lost on the way is repeated once under the same `idempotency_key`, a
        fresh one unless given.

        Args:
            path: the file; its ending says what it holds.
            name: lower-case, such as `mine/additions`.
            verifier: how completions are scored.
            options: the verifier's.
            max_tokens: of a completion, where a configuration leaves it open; None: 512.
            preamble: the default text of the context kind `static`; None: a plain one.
            idempotency_key: names this post.

        Raises:
            GapcastError: the server refused (`errors` names line and field of each mistake), or no answer came.
            ValueError: the file's ending is none of these, or the options cannot be said in JSON.
            OSError: the file cannot be read.
        """
        file = Path(path)
        media = TASK_MEDIA_TYPES.get(file.suffix.lower())
        if media is None:
            raise ValueError(f"{file}: the ending says what it holds, and must be one of {', '.join(TASK_MEDIA_TYPES)}")
        given = json.dumps(dict(options), allow_nan=False) if options is not None else None
        body = FileBody(file)
        answer = self.post_safely(
            "/v1/tasks",
            idempotency_key=idempotency_key,
            headers={"Content-Type": media, "Content-Length": str(body.size)},
            params=without_nones(
                {"name": name, "verifier": verifier, "options": given, "max_tokens": max_tokens, "preamble": preamble}
            ),
            content=body,
            timeout=CHECKING,
        )
        return read(Task, answer)

    def list_tasks(self) -> list[Task]:
        """List the tasks: the bundled ones, then uploaded ones in their newest revisions."""
        return read(Listing[Task], self.request("GET", "/v1/tasks")).data

    def get_task(self, name: str) -> Task:
        """Read the newest revision of a task."""
        return read(Task, self.request("GET", f"/v1/tasks/{_path(name)}"))

    def task_problems(
        self, name: str, limit: int = 20, after: str | None = None, split: Split | None = None
    ) -> list[TaskProblem]:
        """Read up to `limit` problems of an uploaded task, in the file's order; long texts and lists are cut.

        Args:
            name: of the task.
            limit: how many; more than 100 in several requests.
            after: the problem's id after which they begin.
            split: of this split alone.
        """
        return list(self.listed(TaskProblem, f"/v1/tasks/{_path(name)}/problems", {"split": split}, limit, after))


def _path(name: str) -> str:
    """A name with its slashes as the end of a path."""
    return quote(name, safe="/")
