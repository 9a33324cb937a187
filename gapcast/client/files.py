"""Files that are sent and received: their media types by ending, and a whole file or none."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import httpx2

Format = Literal["json", "ndjson", "csv", "parquet"]

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
ENDINGS: dict[str, Format] = {
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".csv": "csv",
    ".parquet": "parquet",
}
PACKED = ".gz"
"""the ending of a task's file that is unpacked before it is sent"""
STORING = httpx2.Timeout(75.0, read=600.0)
"""seconds; 100,000 rows, the most that one import takes, need about a minute where two cores are busy"""
CHECKING = httpx2.Timeout(75.0, read=900.0)
"""seconds; the largest file that a server takes may need minutes of unpacking and checking before it answers"""
PIECE = 1 << 16
"""bytes of a file that are read at a time"""


def format_of(path: Path) -> Format:
    """Return the format of a table by its file's ending.

    Raises:
        ValueError: no format has this ending.
    """
    form = ENDINGS.get(path.suffix.lower())
    if form is None:
        raise ValueError(f"{path}: expected a file ending in {', '.join(ENDINGS)}, got {path.suffix or 'no ending'!r}.")
    return form


def task_media_type(path: Path) -> str:
    """Return the media type of a task's file by its ending, or by the one before `.gz`.

    Raises:
        ValueError: none has this ending.
    """
    return MEDIA_TYPES[format_of(path.with_suffix("") if path.suffix.lower() == PACKED else path)]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole or not at all: it is written beside `path` and then takes its name.

    Raises:
        OSError: the file cannot be written.
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path}: expected a file that can be replaced, got something else. Name another file.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: this folder does not exist. Make it, or name another file.")
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
