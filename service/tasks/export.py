"""Stored tasks as files, for the worker's child process, which has no database."""

import shutil
import time
from pathlib import Path
from tempfile import mkdtemp

from pydantic import ValidationError
from sqlalchemy.orm import Session

from gapcast.atomic import flush
from gapcast.contract.problems import TaskHash, TaskIn
from service.errors import UnknownTask
from service.tasks import repository
from service.tasks.models import StoredTask
from service.tasks.service import is_bundled

HEADER, PROBLEMS = "task.json", "problems.jsonl"
ABANDONED = 3600.0
"""seconds after which a folder that is being written is one that a killed process left; writing takes a minute"""
PIECE = 1 << 20
"""bytes that are hashed at a time"""


class Damaged(Exception):
    """The stored problems are not those that the revision names."""


def export_task(session: Session, tenant: str, name: str, revision: str, root: Path) -> Path | None:
    """Write one revision as a folder in `root`, whole or not at all; returns the folder, null for a bundled task.

    A folder that is there stays as it is while its content has the revision's hash; a damaged one gets its files
    anew. Its `task.json` is the task's header (a `TaskIn`), each line of its `problems.jsonl` a canonical problem.

    Raises:
        UnknownTask: there is no such revision.
        Damaged: the database does not hold what the revision's hash says.
    """
    if is_bundled(name):
        return None
    stored = repository.revision(session, tenant, name, revision)
    if stored is None:
        raise UnknownTask(f"task: {name[:80]!r} has no revision {revision[:80]!r} here.", param="task", value=name[:80])
    folder = root / stored.id
    _sweep(root)
    if _is_whole(folder, revision):
        return folder
    root.mkdir(parents=True, exist_ok=True)
    made = Path(mkdtemp(prefix=f".{folder.name}-", dir=root))
    try:
        _write(session, stored, made)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            # it is damaged, or another process was faster with the same content; who reads it keeps what is open
            for name in (HEADER, PROBLEMS):
                (made / name).replace(folder / name)
        flush(root)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _sweep(root: Path) -> None:
    """Remove what killed processes left behind."""
    for left in root.glob(".task_*"):
        try:
            if left.stat().st_mtime < time.time() - ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:  # another process removes it, too
            continue


def _is_whole(folder: Path, revision: str) -> bool:
    """Whether a folder holds what its revision says; a file of the largest size is hashed in a second."""
    try:
        hashed = TaskHash(TaskIn.model_validate_json((folder / HEADER).read_bytes()))
        with (folder / PROBLEMS).open("rb") as file:
            while piece := file.read(PIECE):
                hashed.add_lines(piece)
    except (OSError, ValidationError):
        return False
    return hashed.revision == revision


def _write(session: Session, stored: StoredTask, folder: Path) -> None:
    hashed = TaskHash(stored.header)
    with (folder / PROBLEMS).open("wb") as file:
        for row in repository.problems(session, stored.id):
            line = row.body.encode()
            hashed.add(line)
            file.write(line + b"\n")
    if hashed.revision != stored.revision:
        raise Damaged(f"the problems of {stored.name} are {hashed.revision} and not {stored.revision}")
    (folder / HEADER).write_text(stored.header.model_dump_json())
    for path in (folder / PROBLEMS, folder / HEADER, folder):
        flush(path)
