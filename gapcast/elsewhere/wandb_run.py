"""The history of a W&B offline run, read from its `.wandb` file.

The file is a log of LevelDB's kind: 7 bytes of header, then blocks of 32 KiB that hold records, each with a header of
7 bytes (checksum, length, type). A record is a protobuf message, whose classes the package `wandb` brings.
Source: wandb 0.31, core/internal/transactionlog; LevelDB, doc/log_format.md.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

HEADER = struct.Struct("<4sHB")
"""of the file: its identity, a magic number, a version"""
IDENTITY = b":W&B"
RECORD = struct.Struct("<IHB")
"""of a record: checksum, length, type"""
BLOCK = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
"""types: whole, or parts of one that does not fit its block"""


class WandbError(ValueError):
    """A W&B run cannot be read; the message says why."""


def history(path: Path) -> Iterator[dict[str, object]]:
    """Yield the rows that a run has logged, by their metrics' names; `_step` is W&B's own count.

    Args:
        path: a `.wandb` file, or the folder that holds one (`wandb/offline-run-...`).

    Raises:
        WandbError: the package is missing, or there is no such file.
        OSError: it cannot be read.
    """
    file = _file(path)
    try:
        from wandb.proto import wandb_internal_pb2
    except ImportError:
        raise WandbError(f"{path}: W&B runs are read by the package wandb: pip install 'gapcast[wandb]'.") from None
    for data in records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        try:
            record.ParseFromString(data)
        except Exception:
            return  # the end of a file that is being written
        if record.WhichOneof("record_type") == "history":
            yield {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}


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
