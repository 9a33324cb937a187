"""Turns a Parquet task file (standard input) into one JSON object a line (standard output); a process of its own.

A Parquet file can say that a small page unpacks to gigabytes, or lie about it, and a run-length-encoded row may hold
billions of values. So this process takes a fixed amount of memory and of CPU time and dies of more, and what it dies of
is the file's fault. It holds no credentials and is told nothing but how much it may write.
"""

import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gapcast.contract.base import JsonObject
from gapcast.contract.problems import MOST_PROBLEMS, ProblemIn

ROOM = 768 << 20
"""bytes beyond what the process takes at its start: some ten times what a file of the largest problems needs"""
CPU_SECONDS = 240
"""less than the seconds that whoever started this waits"""
ROWS = 16
"""rows that are unpacked at a time: of the largest problems 64 MiB"""
BUFFER = 1 << 16
"""bytes that are read of a column at a time, in place of the whole of it"""
TOO_MUCH = "the file unpacks to more than {} bytes, the most this server takes (max_task_bytes)"
TOO_LARGE = "{} {} to more memory than one may take; write smaller pages, or a smaller file"
NOT_TEXT = "row {}: is not UTF-8 ({})"
BROKEN = "the file is not Parquet, or is damaged: {}"


class Refused(Exception):
    """The file is not taken."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def limit() -> None:
    """Take no more memory and time than a proper file needs; where the system has no such limits, there are none."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    statm = Path("/proc/self/statm")
    if statm.exists():
        taken = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, taken + ROOM))


def rows(file: pq.ParquetFile, most_bytes: int) -> Iterator[JsonObject]:
    """Every row, null fields left out.

    Raises:
        Refused: by what the file says of itself, or for rows that hold too much or what is no text.
    """
    metadata, schema = file.metadata, file.schema_arrow
    for name in schema.names:
        if name not in ProblemIn.model_fields:
            known = ", ".join(ProblemIn.model_fields)
            raise Refused(f"column {name[:80]!r} is not known. The columns are {known}.", name[:80])
        if schema.names.count(name) > 1:
            raise Refused(f"column {name!r} appears twice. Leave one of them out.", name)
        _check_type(name, schema.field(name).type)
    if metadata.num_rows > MOST_PROBLEMS:
        raise Refused(f"expected at most {MOST_PROBLEMS} rows in one task, got {metadata.num_rows}. Split the file.")
    if sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)) > most_bytes:
        largest = _largest_column(metadata)
        raise Refused(f"{TOO_MUCH.format(most_bytes)}, most of it in column {largest!r}", largest)
    done = 0
    batch: pa.RecordBatch | None = None
    try:
        for batch in file.iter_batches(batch_size=ROWS, use_threads=False):
            yield from map(_present, _values(batch, done))
            done += batch.num_rows
        return
    except MemoryError:  # pyarrow's own is one, too
        batch = None  # the next look needs its memory
    raise _too_large(file, done)


def _largest_column(metadata: pq.FileMetaData) -> str:
    sizes: Counter[str] = Counter()
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for place in range(group.num_columns):
            column = group.column(place)
            sizes[column.path_in_schema.partition(".")[0]] += column.total_uncompressed_size
    return sizes.most_common(1)[0][0]


def _values(batch: pa.RecordBatch, done: int) -> list[JsonObject]:
    """The rows of a batch after `done` others."""
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError as error:
        for index in range(batch.num_rows):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if not _is_text(column[index]):
                    row = done + index + 1
                    raise Refused(NOT_TEXT.format(row, error.reason), f"rows.{row}.{name}") from None
        raise


def _is_text(value: pa.Scalar) -> bool:
    try:
        value.as_py()
    except UnicodeDecodeError:
        return False
    return True


def _too_large(file: pq.ParquetFile, done: int) -> Refused:
    """What to say of the rows after `done`, which do not fit into the memory: each column is tried alone."""
    last = min(done + ROWS, file.metadata.num_rows)
    where = f"row {last}" if last == done + 1 else f"rows {done + 1} to {last}"
    for name in file.schema_arrow.names:
        read = 0
        try:
            for batch in file.iter_batches(batch_size=ROWS, columns=[name], use_threads=False):
                batch.to_pylist()
                read += batch.num_rows
                if read >= last:
                    break
        except MemoryError:
            return Refused(TOO_LARGE.format(f"{where}: column {name!r}", "unpacks"), name)
    return Refused(TOO_LARGE.format(where, "unpack"))


def _check_type(name: str, kind: pa.DataType) -> None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        _check_type(name, kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            _check_type(name, field.type)
    elif not (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    ):
        raise Refused(
            f"{name}: expected a column of texts, numbers, lists of them, or structs with the fields of a test or a "
            f"message, got the type {str(kind)[:80]}.",
            name,
        )


def _present(value: Any) -> Any:  # noqa: ANN401
    """Without the fields that are null, which in a table say that a row has none."""
    if isinstance(value, dict):
        return {name: _present(one) for name, one in value.items() if one is not None}
    return [_present(one) for one in value] if isinstance(value, list) else value


def main(most_bytes: int) -> None:
    """Write every row, or say on standard error what is wrong with the file."""
    told: dict[str, str | None]
    try:
        limit()
        written = number = 0
        options = {"buffer_size": BUFFER, "pre_buffer": False, "page_checksum_verification": True}
        with pq.ParquetFile(sys.stdin.buffer, **options) as file:
            for number, row in enumerate(rows(file, most_bytes), start=1):
                line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
                written += len(line)
                if written > most_bytes:
                    raise Refused(f"row {number}: up to here {TOO_MUCH.format(most_bytes)}", f"rows.{number}")
                sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        return
    except Refused as error:
        told = {"message": str(error), "param": error.param}
    except MemoryError:
        where = f"row {number}" if number else "the file"
        told = {"message": TOO_LARGE.format(where, "unpacks"), "param": f"rows.{number}" if number else None}
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        told = {"message": BROKEN.format(str(error)[:300]), "param": None}
    sys.stderr.write("\n" + json.dumps(told))
    sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
