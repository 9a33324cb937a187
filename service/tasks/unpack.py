"""Turns a task file (standard input) into one JSON object a line (standard output); a process of its own.

A Parquet file can say that a small page unpacks to gigabytes, or lie about it, and a run-length-encoded row may hold
billions of values; a JSON array has to be in memory as a whole. So this process takes a fixed amount of memory and of
CPU time and dies of more, and what it dies of is the file's fault. It holds no credentials and is told nothing but the
file's form, how much it may write, and which columns are read.
"""

import csv
import io
import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from gapcast.contract.base import JsonObject
from gapcast.contract.problems import MOST_PROBLEMS, ProblemIn
from service.tasks.presets import MMLU_COLUMNS, detect, is_mmlu_row, unknown_columns

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
BROKEN = "the file is not {}, or is damaged: {}"
MOST_CELL = 1 << 25
"""characters of a CSV cell, as a line of the other forms may have"""
TOO_MANY = "expected at most {} rows in one task, got {}. Split the file."


class Refused(Exception):
    """The file is not taken."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def _column(name: str) -> str:
    """The place of a column in what is told."""
    return f"columns.{name[:80]}"


def limit() -> None:
    """Take no more memory and time than a proper file needs; where the system has no such limits, there are none."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    statm = Path("/proc/self/statm")
    if statm.exists():
        taken = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, taken + ROOM))


def rows(file: pq.ParquetFile, most_bytes: int, wanted: Collection[str] | None) -> Iterator[JsonObject]:
    """Every row of the columns that are read.

    Raises:
        Refused: by what the file says of itself, or for rows that hold too much or what is no text.
    """
    metadata, schema = file.metadata, file.schema_arrow
    names = [name for name in schema.names if wanted is None or name in wanted]
    for name in names:
        if schema.names.count(name) > 1:
            raise Refused(f"column {name!r} appears twice. Leave one of them out.", _column(name))
    if metadata.num_rows > MOST_PROBLEMS:
        raise Refused(TOO_MANY.format(MOST_PROBLEMS, metadata.num_rows))
    if wanted is None:
        _check_names(file)
    for name in names:
        _check_type(name, schema.field(name).type)
    if sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)) > most_bytes:
        largest = _largest_column(metadata)
        raise Refused(f"{TOO_MUCH.format(most_bytes)}, most of it in column {largest!r}", _column(largest))
    done = 0
    batch: pa.RecordBatch | None = None
    try:
        for batch in file.iter_batches(batch_size=ROWS, columns=names, use_threads=False):
            yield from _values(batch, done)
            done += batch.num_rows
        return
    except MemoryError:  # pyarrow's own is one, too
        batch = None  # the next look needs its memory
    raise _too_large(file, done, names)


def _check_names(file: pq.ParquetFile) -> None:
    """Refuse columns that are no fields of a problem, all at once and before anything is unpacked."""
    unknown = [name for name in file.schema_arrow.names if name not in ProblemIn.model_fields]
    if not unknown:
        return
    readable = [name for name in file.schema_arrow.names if _readable(file.schema_arrow.field(name).type)]
    first = next(file.iter_batches(batch_size=1, columns=readable, use_threads=False), None)
    row = first.to_pylist()[0] if first is not None and first.num_rows else {}
    raise Refused(unknown_columns(unknown, detect(row)), _column(unknown[0]))


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


def _too_large(file: pq.ParquetFile, done: int, names: list[str]) -> Refused:
    """What to say of the rows after `done`, which do not fit into the memory: each column is tried alone."""
    last = min(done + ROWS, file.metadata.num_rows)
    where = f"row {last}" if last == done + 1 else f"rows {done + 1} to {last}"
    for name in names:
        read = 0
        try:
            for batch in file.iter_batches(batch_size=ROWS, columns=[name], use_threads=False):
                batch.to_pylist()
                read += batch.num_rows
                if read >= last:
                    break
        except MemoryError:
            return Refused(TOO_LARGE.format(f"{where}: column {name!r}", "unpacks"), _column(name))
    return Refused(TOO_LARGE.format(where, "unpack"))


def _check_type(name: str, kind: pa.DataType) -> None:
    if not _readable(kind):
        raise Refused(
            f"{name}: expected a column of texts, numbers, lists of them, or structs with the fields of a test or a "
            f"message, got the type {str(kind)[:80]}.",
            _column(name),
        )


def _readable(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _readable(kind.value_type)
    if pa.types.is_struct(kind):
        return all(_readable(field.type) for field in kind)
    checks = ("is_string", "is_large_string", "is_integer", "is_floating", "is_boolean", "is_null")
    return any(getattr(pa.types, check)(kind) for check in checks)


def parquet_lines(file: IO[bytes], most_bytes: int, wanted: Collection[str] | None) -> Iterator[str]:
    """The rows of a Parquet file."""
    options = {"buffer_size": BUFFER, "pre_buffer": False, "page_checksum_verification": True}
    with pq.ParquetFile(file, **options) as opened:
        for row in rows(opened, most_bytes, wanted):
            yield json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def csv_lines(file: IO[bytes], wanted: Collection[str] | None) -> Iterator[str]:
    """The rows of a CSV file; an empty cell is null. MMLU's own files have no header."""
    csv.field_size_limit(MOST_CELL)
    table = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), strict=True)
    header = next(table, [])
    first: list[list[str]] = []
    if wanted is not None and set(MMLU_COLUMNS) <= set(wanted) and is_mmlu_row(header):
        header, first = list(MMLU_COLUMNS), [header]
    names = [name.strip() for name in header]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Refused(f"column {twice[:80]!r} appears twice. Leave one of them out.", _column(twice))
    for number, cells in enumerate(_chained(first, table), start=1):
        if len(cells) != len(names):
            raise Refused(f"row {number}: expected {len(names)} cells, got {len(cells)}.", f"rows.{number}")
        row = {name: cell if cell.strip() else None for name, cell in zip(names, cells, strict=True)}
        if number == 1 and wanted is None:
            unknown = [name for name in names if name not in ProblemIn.model_fields]
            if unknown:
                raise Refused(
                    unknown_columns(unknown, "mmlu" if is_mmlu_row(header) else detect(row)), _column(unknown[0])
                )
        if number > MOST_PROBLEMS:
            raise Refused(TOO_MANY.format(MOST_PROBLEMS, "more"))
        yield json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _chained(first: list[list[str]], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    for cells in (*first, *rest):
        if any(cell.strip() for cell in cells):
            yield cells


def array_lines(file: IO[bytes]) -> Iterator[str]:
    """The items of a JSON array as they are written: a number keeps its digits, and a line is checked as any other."""
    text = file.read().decode("utf-8-sig")
    decoder, place, number = json.JSONDecoder(), text.index("[") + 1, 0
    while True:
        while text[place : place + 1].isspace():
            place += 1
        if text[place : place + 1] == "]":
            break
        begun = place
        try:
            place = decoder.raw_decode(text, begun)[1]
        except json.JSONDecodeError as error:
            raise Refused(f"item {number + 1}: is not JSON: {error.msg} at character {error.pos + 1}") from None
        number += 1
        if number > MOST_PROBLEMS:
            raise Refused(TOO_MANY.format(MOST_PROBLEMS, "more"))
        yield text[begun:place].replace("\r", " ").replace("\n", " ")
        while text[place : place + 1].isspace():
            place += 1
        if text[place : place + 1] == ",":
            place += 1
        elif text[place : place + 1] != "]":
            raise Refused(f"item {number}: is not followed by a comma or the end of the list, at character {place + 1}")
    if text[place + 1 :].strip():
        raise Refused(f"the list ends at character {place + 1}, but the file goes on. Leave the rest out.")


def main(form: str, most_bytes: int, wanted: Collection[str] | None) -> None:
    """Write every row, or say on standard error what is wrong with the file."""
    told: dict[str, str | None]
    word, number = ("item" if form == "json" else "row"), 0
    try:
        limit()
        written = 0
        file = sys.stdin.buffer
        lines = {
            "parquet": lambda: parquet_lines(file, most_bytes, wanted),
            "csv": lambda: csv_lines(file, wanted),
            "json": lambda: array_lines(file),
        }[form]()
        for number, line in enumerate(lines, start=1):
            content = line.encode() + b"\n"
            written += len(content)
            if written > most_bytes:
                raise Refused(f"{word} {number}: up to here {TOO_MUCH.format(most_bytes)}", f"{word}s.{number}")
            sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    except Refused as error:
        told = {"message": str(error), "param": error.param}
    except MemoryError:
        where = f"{word} {number}" if number else "the file"
        told = {"message": TOO_LARGE.format(where, "unpacks"), "param": f"{word}s.{number}" if number else None}
    except (pa.ArrowException, csv.Error, OSError, ValueError, RecursionError) as error:
        names = {"parquet": "Parquet", "csv": "CSV", "json": "JSON"}
        told = {"message": BROKEN.format(names[form], str(error)[:300]), "param": None}
    sys.stderr.write("\n" + json.dumps(told))
    sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
