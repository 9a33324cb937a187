"""Task files as they come: received into a file without a name, and read line by line; knows no database.

A file without a name is gone when it is closed, also when the process dies. Of a Parquet or CSV file and of a JSON
array a process of its own makes JSON lines first (`service.tasks.unpack`), so one reader serves all.
"""

import errno
import hashlib
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Collection, Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryFile
from threading import BoundedSemaphore
from typing import IO, Any, Literal, NamedTuple

from fastapi.concurrency import run_in_threadpool

from gapcast.contract.base import JsonObject
from gapcast.contract.faults import shown
from gapcast.contract.problems import Written
from gapcast.launching import module_command, safe_environment
from service.errors import InvalidFile
from service.kit.errors import Unavailable

Form = Literal["ndjson", "json", "csv", "parquet"]

MEDIA_TYPES: dict[str, Form] = {
    "application/x-ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/json": "json",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
}
MOST_LINE = 1 << 26
"""bytes of one line: the hidden tests of LiveCodeBench's largest problems take some 30 MB"""
LONG_LINE = 1 << 22
"""bytes of a line that is read while no other line of this length is: with its fields it takes several times as much"""
LONG_LINES = BoundedSemaphore(1)
PIECE = 1 << 20
"""bytes that are written or skipped at a time"""
UNPACKING_SECONDS = 300
"""seconds in which the largest file that is taken is unpacked several times over, on one slow core"""
UNPACKED_AT_ONCE = BoundedSemaphore(2)
"""files; each may take as much memory as `service.tasks.unpack` allows"""
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}
"""how a folder refuses to take a file"""
BOM = b"\xef\xbb\xbf"
KEY = re.compile(r'[\s{,]*("(?:[^"\\]|\\.)*")\s*:\s*')
"""the key of an object's next field, with what stands around it"""
WORD: dict[Form, str] = {"ndjson": "line", "json": "item", "csv": "row", "parquet": "row"}
"""what errors count"""
NAMES: dict[Form, str] = {"ndjson": "JSON lines", "json": "JSON", "csv": "CSV", "parquet": "Parquet"}


class Fault(NamedTuple):
    """What is wrong with a line, and with which of its fields; the empty field is the line as a whole."""

    line: int
    field: str
    message: str
    value: Any = None


class Line(NamedTuple):
    """One line that holds a JSON object."""

    number: int
    row: JsonObject


def form_of(media_type: str) -> Form | None:
    """The form with this media type; parameters such as a charset do not matter."""
    return MEDIA_TYPES.get(media_type.partition(";")[0].strip().lower())


@contextmanager
def scratch(folder: Path) -> Iterator[IO[bytes]]:
    """A file without a name in the data folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            yield file
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise Unavailable(
            f"The server's data folder cannot take the file ({error.strerror}); ask its operator to free space or "
            "correct its permissions."
        ) from None


async def receive(pieces: AsyncIterator[bytes], file: IO[bytes]) -> str:
    """Write a body as it comes; returns its SHA-256."""
    digest = hashlib.sha256()
    waiting = bytearray()

    def write() -> None:
        digest.update(waiting)
        file.write(waiting)
        waiting.clear()

    async for piece in pieces:
        waiting += piece
        if len(waiting) >= PIECE:
            await run_in_threadpool(write)
    await run_in_threadpool(write)
    file.flush()
    return digest.hexdigest()


def form_in(file: IO[bytes], form: Form) -> Form:
    """The form of what is there: a file sent as JSON may be JSON lines."""
    if form != "json":
        return form
    file.seek(0)
    return "json" if file.read(PIECE).removeprefix(BOM).lstrip().startswith(b"[") else "ndjson"


def require_few(file: IO[bytes], most: int) -> None:
    """Refuse more lines than a task may have problems, before any is parsed.

    Raises:
        InvalidFile: there are more.
    """
    file.seek(0)
    found = 0
    while piece := file.readline(PIECE):
        found += bool(piece.endswith(b"\n") and piece.strip())
    if found > most:
        raise InvalidFile(f"Nothing was stored. expected at most {most} problems, got {found} lines. Split the file.")


def unpack(form: Form, packed: IO[bytes], lines: IO[bytes], most_bytes: int, columns: Collection[str] | None) -> None:
    """Write the rows of a Parquet or CSV file, or the items of a JSON array, as JSON lines.

    Args:
        form: of the file.
        packed: the file.
        lines: takes the lines.
        most_bytes: that may be written.
        columns: that are read; None: all, and each must be a field of a problem.

    Raises:
        InvalidFile: it is none, or holds or unpacks to what is not taken here.
    """
    packed.seek(0)
    passed_on = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "LD_LIBRARY_PATH"}}
    wanted = json.dumps(None if columns is None else sorted(columns))
    command = module_command("service.tasks.unpack", form, str(most_bytes), wanted)
    try:
        with UNPACKED_AT_ONCE:
            done = subprocess.run(
                command,
                stdin=packed,
                stdout=lines,
                stderr=subprocess.PIPE,
                env=safe_environment(passed_on) | {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"},
                timeout=UNPACKING_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise InvalidFile(f"the file was not unpacked within {UNPACKING_SECONDS} seconds. Split it.") from None
    if done.returncode == 0:
        return
    try:
        told = json.loads(done.stderr.strip().split(b"\n")[-1])
    except ValueError:
        told = {
            "message": f"the file is not {NAMES[form]}, is damaged, or unpacks to more than this server reads",
            "param": None,
        }
    raise InvalidFile(told["message"], param=told["param"])


def read(file: IO[bytes]) -> Generator[Line | Fault, None, None]:
    """Every line that is not blank, as an object or as what is wrong with it; never more than one line in memory.

    Of long lines this process has one in memory, until the next line is asked for: close what is not read to its end.
    """
    file.seek(0)
    place = number = 0
    while raw := file.readline(LONG_LINE + 1):
        number += 1
        long = len(raw) > LONG_LINE and not raw.endswith(b"\n")
        with LONG_LINES if long else nullcontext():
            begun = place
            if long:
                raw += file.readline(MOST_LINE - LONG_LINE)
            place += len(raw)
            if len(raw) > MOST_LINE and not raw.endswith(b"\n"):
                place += _skip(file)
                field = _wrong_field(raw.decode(errors="replace"))
                yield Fault(number, field, f"expected at most {MOST_LINE} bytes, got {place - begun}.")
                continue
            if number == 1 and raw.startswith(BOM):
                begun, raw = begun + len(BOM), raw[len(BOM) :]
            if raw.strip():
                yield _parse(raw, number, begun)


def _skip(file: IO[bytes]) -> int:
    """Go to the next line's beginning; returns the bytes that lay between."""
    skipped = 0
    while piece := file.readline(PIECE):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _parse(raw: bytes, number: int, begun: int) -> Line | Fault:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        field = _wrong_field(raw[: error.start].decode())
        return Fault(number, field, f"byte {begun + error.start} of the file is not UTF-8 ({error.reason})")
    try:
        row = STRICT.decode(text)
    except json.JSONDecodeError as error:
        return Fault(number, _wrong_field(text), f"is not JSON: {error.msg} at character {error.pos + 1}")
    except ValueError as error:
        return Fault(number, _wrong_field(text), f"is not JSON: {error}")
    except RecursionError:
        return Fault(number, _wrong_field(text), "is nested too deeply")
    if not isinstance(row, dict):
        return Fault(number, "", f"expected an object with fields, got {shown(row)}.", row)
    return Line(number, row)


def _wrong_field(text: str) -> str:
    """The field whose value is no JSON, or is cut off; empty where what is wrong stands in none."""
    place = 0
    while key := KEY.match(text, place):
        try:
            place = STRICT.raw_decode(text, key.end())[1]
        except (ValueError, RecursionError):
            return key[1][1:-1]
    return ""


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    """An object whose keys are all different: of two values, none would be known to be meant."""
    row = dict(pairs)
    if len(row) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} appears twice")
    return row


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=Written)
"""takes JSON alone, and no key twice"""
