"""A W&B run, read from its `.wandb` file without the package wandb.

The file is a log of LevelDB's kind: 7 bytes of header, then blocks of 32 KiB that hold records, each with a header of
7 bytes (checksum, length, type). A record is a protobuf message, of which a few fields are read.
Source: wandb 0.31, core/internal/transactionlog and wandb/proto/wandb_internal.proto; LevelDB, doc/log_format.md;
the wire format of Protocol Buffers.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HEADER = struct.Struct("<4sHB")
"""of the file: its identity, a magic number, a version"""
IDENTITY = b":W&B"
RECORD = struct.Struct("<IHB")
"""of a record: checksum, length, type"""
BLOCK = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
"""types: whole, or parts of one that does not fit its block"""

HISTORY, SUMMARY, CONFIG, RUN = 2, 3, 5, 17
"""fields of a record"""
RUN_ID, RUN_CONFIG, DISPLAY_NAME = 1, 4, 8
"""fields of RUN"""
ITEM = 1
"""field of HISTORY, SUMMARY and CONFIG"""
KEY, NESTED_KEY, VALUE_JSON = 1, 2, 16
"""fields of ITEM"""
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""how a field is written"""

Row = dict[str, object]


class WandbError(ValueError):
    """A W&B run cannot be read; the message says why."""


@dataclass
class WandbRun:
    """What is read of a run.

    Attributes:
        id: W&B's. name: the one that people see.
        config: its values by their keys, summary values that are not in the history beside them.
        history: the rows that it has logged, by their metrics' names; `_step` is W&B's own count.
    """

    id: str = ""
    name: str = ""
    config: Row = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)


def history(path: Path) -> list[Row]:
    """Return the rows that a run has logged; raises as `read_run` does."""
    return read_run(path).history


def read_run(path: Path) -> WandbRun:
    """Read a run as far as it is written.

    Args:
        path: a `.wandb` file, or the folder that holds one (`wandb/offline-run-...`).

    Raises:
        WandbError: the file does not exist, or is something else.
        OSError: it cannot be read.
    """
    run = WandbRun()
    summary: Row = {}
    for data in records(_file(path).read_bytes()):
        for number, content in _fields(data):
            if number == HISTORY:
                run.history.append(_items(content))
            elif number == SUMMARY:
                summary |= _items(content)
            elif number == CONFIG:
                run.config |= _items(content)
            elif number == RUN:
                _describe(run, content)
    logged = {name for row in run.history for name in row}
    run.config = {name: value for name, value in (summary | run.config).items() if name not in logged}
    return run


def _describe(run: WandbRun, content: bytes) -> None:
    for number, value in _fields(content):
        if number == RUN_ID:
            run.id = value.decode()
        elif number == DISPLAY_NAME:
            run.name = value.decode()
        elif number == RUN_CONFIG:
            run.config |= _items(value)


def _items(content: bytes) -> Row:
    """The values of a message's items; W&B's own begin with `_wandb`."""
    found: Row = {}
    for number, item in _fields(content):
        if number != ITEM:
            continue
        key, nested, value = "", [], "null"
        for of_item, part in _fields(item):
            if of_item == KEY:
                key = part.decode()
            elif of_item == NESTED_KEY:
                nested.append(part.decode())
            elif of_item == VALUE_JSON:
                value = part.decode()
        name = ".".join(nested) or key
        if not name.startswith("_wandb"):
            found[name] = json.loads(value)
    return found


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and content of the fields of a message that hold bytes; others are passed over.

    Raises:
        WandbError: it is not a message.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _, at = _varint(message, at)
        elif kind == BYTES:
            length, at = _varint(message, at)
            yield number, message[at : at + length]
            at += length
        elif kind in {FIXED64, FIXED32}:
            at += 8 if kind == FIXED64 else 4
        else:
            raise WandbError("a record is damaged: it is not a message of W&B's.")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the place after it."""
    value = shift = 0
    for place, byte in enumerate(message[at : at + 10], start=at):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place + 1
    raise WandbError("a record is damaged: it is not a message of W&B's.")


def files(path: Path) -> list[Path]:
    """Return the `.wandb` files of a run's folder, or of the runs in a folder such as `wandb/`."""
    return sorted(path.glob("*.wandb")) or sorted(path.glob("*run-*/*.wandb"))


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.wandb"))
    if len(found) != 1:
        raise WandbError(
            f"{path}: expected one .wandb file in the folder, got {len(found)}. Name the folder of one run, such as "
            "wandb/offline-run-20260101_120000-abcd1234."
        )
    return found[0]


def records(content: bytes) -> Iterator[bytes]:
    """Yield the records of a file that are whole.

    Raises:
        WandbError: it is not a `.wandb` file.
    """
    if content[:4] != IDENTITY:
        raise WandbError("expected a .wandb file, which begins with ':W&B', got something else.")
    at, parts = HEADER.size, bytearray()
    while at + RECORD.size <= len(content):
        left = BLOCK - at % BLOCK
        if left < RECORD.size:  # a block's last bytes hold no header
            at += left
            continue
        _, length, kind = RECORD.unpack_from(content, at)
        data = content[at + RECORD.size : at + RECORD.size + length]
        if not FULL <= kind <= LAST or len(data) < length:
            return
        at += RECORD.size + length
        parts = bytearray(data) if kind in {FULL, FIRST} else parts + data
        if kind in {FULL, LAST}:
            yield bytes(parts)
