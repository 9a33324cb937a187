"""A lock on a file: one process at a time, and the next one learns who holds it."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path


class Held(Exception):
    """Another process holds the lock; `notes` are what it has written about itself."""

    def __init__(self, path: Path, notes: dict[str, str]) -> None:
        super().__init__(f"{path} is locked by another process")
        self.path, self.notes = path, notes


class FileLock:
    """An exclusive lock that lasts as long as this object's process.

    The kernel releases it when the process ends, however it ends, so no lock is ever left behind; the file stays.

    Raises:
        Held: another process has the lock.
        OSError: the file cannot be opened, or its file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+", encoding="utf-8")  # not inherited by the processes that we start
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with self._file as file:
                file.seek(0)
                raise Held(path, _notes(file.read())) from None
        except OSError:
            self._file.close()
            raise
        self.note({})

    def note(self, notes: Mapping[str, str]) -> None:
        """Write down who holds the lock: this process, and what else the next one is to know."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps({"pid": str(os.getpid()), **notes}) + "\n")
        self._file.flush()

    def release(self) -> None:
        """Let another process have the lock."""
        self._file.close()


def _notes(text: str) -> dict[str, str]:
    """Read what the holder has written; it may be writing just now."""
    try:
        notes = json.loads(text)
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in notes.items()} if isinstance(notes, dict) else {}
