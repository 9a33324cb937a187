"""Files and folders that are there whole or not at all, whatever ends the process that writes them."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(file: Path, text: str) -> None:
    """Write a file under a hidden name beside it, flush it to the disk, and rename it, over one that is there.

    Raises:
        OSError: the file cannot be written; nothing of it is left.
    """
    hidden = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}.unfinished")
    try:
        hidden.write_text(text)
        flush(hidden)
        hidden.replace(file)
        flush(file.parent)
    finally:
        hidden.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Give a hidden folder to fill; it is flushed to the disk and takes the place of `folder` if the block succeeds.

    Its name is the same each time, so that the next attempt removes what a killed one has left. One process at a time
    writes a folder.
    """
    hidden = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir(parents=True)
    try:
        yield hidden
        for path in (*hidden.iterdir(), hidden):
            flush(path)
        shutil.rmtree(folder, ignore_errors=True)
        hidden.rename(folder)
        flush(folder.parent)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def flush(path: Path) -> None:
    """Make what was written there survive a power cut; of a folder, its names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
