"""Tables of observations as JSON, NDJSON, CSV and Parquet: bytes to rows and rows to bytes; knows no database.

A row is nested as in JSON (`{"gap": {"value": ...}}`); in a table the same field is the column `gap.value`, and what is
an object or a list of numbers in JSON (`provenance`, `gap.student`) is its JSON text in CSV, and `tags` are words.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gapcast.contract.faults import shown
from gapcast.contract.observations import MOST_PROVENANCE
from service.errors import InvalidFile
from service.observations.columns import columns, count_columns
from service.observations.translation import Translation

Row = dict[str, Any]
"""A row as people send it or get it, before it is checked."""
Format = Literal["json", "ndjson", "csv", "parquet"]

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
MOST_ROWS = 100_000
"""rows of one import; more would hold a writer's lock for too long"""
MOST_CELL = 1 << 24
"""characters in one cell of a CSV file"""
MOST_TEXT = 1 << 18
"""bytes in one text of a Parquet file: a curve of a thousand looks takes 180,000"""
MOST_TEXTS = 1 << 25
"""bytes of all texts of a Parquet file, each counted as often as it stands in a row"""
MOST_UNPACKED = 1 << 28
"""bytes that a Parquet file may unpack to"""
MOST_VALUES = 20_000_000
"""values that a Parquet file may unpack to: repeated ones take no room while packed"""

PIECE = 1 << 18
"""bytes"""

_JSON_COLUMNS = {"context", "curve", "provenance", *count_columns()}
_WHOLE = {
    name
    for name in columns()
    if name.endswith((".problems", "training_problems", ".rollouts", ".steps", "_per_step", "_size", "_rank", ".top_k"))
}
_REAL = {"parameters", "baseline", "gap_spread", "held_out.baseline", "cov"} | {
    name for name in columns() if name.endswith((".value", ".se", "_rate"))
}
_FLAGS = {"collapsed", "excluded", *(name for name in columns() if name.endswith("thinking"))}

csv.field_size_limit(MOST_CELL)


def format_of(media_type: str) -> Format | None:
    """The format with this media type; parameters such as a charset do not matter."""
    wanted = media_type.partition(";")[0].strip().lower()
    return next((name for name, known in MEDIA_TYPES.items() if known == wanted), None)


class Sent(NamedTuple):
    """A row as it was sent, not yet checked.

    Attributes:
        row: its fields.
        line: the line that it ends at, where it has one.
        fault: why it cannot be read; the rows after it can.
    """

    row: Row
    line: int | None = None
    fault: InvalidFile | None = None


def read(body: bytes, form: Format, wanted: Translation) -> Iterator[Sent]:
    """Read a table row by row; every row is a mapping, not yet checked, its fields named as ours.

    Raises:
        InvalidFile: the bytes are not what they should be, or too much, or their columns are not those wanted.
    """
    readers: dict[Format, Callable[[bytes, Translation], Iterable[tuple[Any, int | None]]]] = {
        "json": _read_json,
        "ndjson": _read_ndjson,
        "csv": _read_csv,
        "parquet": _read_parquet,
    }
    number = 0
    for number, (row, line) in enumerate(readers[form](body, wanted), start=1):
        if not isinstance(row, dict):
            expected = InvalidFile(f"row {number}: expected an object with fields, got {shown(row)}.")
            yield Sent({}, line, row if isinstance(row, InvalidFile) else expected)
            continue
        if wanted.is_asked:
            named = row if form in {"csv", "parquet"} else wanted.row(row)
            row = wanted.complete(named)  # noqa: PLW2901
        yield Sent(_nested(row) if wanted.is_asked or form in {"csv", "parquet"} else row, line)
    if not number:
        raise InvalidFile("the file does not contain a row.")
    wanted.finish()


def _at_most(rows: int) -> None:
    """Refuse a file by its number of rows, before any of them is checked.

    Raises:
        InvalidFile: it has too many.
    """
    if rows > MOST_ROWS:
        raise InvalidFile(f"expected at most {MOST_ROWS} rows in one import, got {rows}. Split the file.")


def _unique(pairs: list[tuple[str, Any]]) -> Row:
    """Return an object; refuse a key that appears twice, as it is not known which value is meant."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)[:80]!r} appears twice")
    return row


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise InvalidFile(f"line {line}: byte {error.start} is not UTF-8 ({error.reason})") from None


def _read_json(body: bytes, _wanted: Translation) -> Iterable[tuple[Any, None]]:
    try:
        content = json.loads(_text(body), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"the body is not JSON: {error}") from None
    if isinstance(content, dict):
        unknown = sorted(set(content) - {"observations"})
        if unknown or "observations" not in content:
            raise InvalidFile(
                'expected {"observations": [...]} as the body, got an object with '
                f"{', '.join(map(repr, unknown[:5])) or 'no fields'}."
            )
        content = content["observations"]
    if not isinstance(content, list):
        raise InvalidFile(f"observations: expected a list of rows, got {shown(content)}.")
    _at_most(len(content))
    return ((row, None) for row in content)


def _read_ndjson(body: bytes, _wanted: Translation) -> Iterable[tuple[Any, int]]:
    lines = _text(body).split("\n")
    _at_most(sum(bool(line.strip()) for line in lines))
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line, object_pairs_hook=_unique)
            except (ValueError, RecursionError) as error:
                row = InvalidFile(f"line {number}: is not JSON: {error}")
            yield row, number


def _read_csv(body: bytes, wanted: Translation) -> Iterable[tuple[Row | InvalidFile, int]]:
    text = _text(body)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        if body.count(b"\n") > MOST_ROWS:  # a cell may hold lines of its own
            _at_most(sum(1 for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row) - 1)
        header = next(reader, None)
        if header is None:
            raise InvalidFile("the file is empty. Write the names of the columns into its first line.")
        names = wanted.header([name.strip() for name in header])
        for number, cells in enumerate((row for row in reader if row), start=1):
            yield _csv_row(names, cells, number, reader.line_num), reader.line_num
    except csv.Error as error:
        raise InvalidFile(f"line {reader.line_num}: is not CSV: {error}") from None


def _csv_row(names: Sequence[str | None], cells: Sequence[str], number: int, line: int) -> Row | InvalidFile:
    """The fields of a row, or why it has none."""
    if len(cells) != len(names):
        return InvalidFile(
            f"row {number} (line {line}): expected {len(names)} cells, one for each column of the header, got "
            f"{len(cells)}."
        )
    found = ((name, cell.strip()) for name, cell in zip(names, cells, strict=True) if name is not None)
    try:
        return {name: _cell(name, cell, number) for name, cell in found if cell}
    except InvalidFile as error:
        return error


def _cell(name: str, cell: str, number: int) -> Any:  # noqa: ANN401
    if name == "tags":
        return cell.replace(",", " ").split()
    if name not in _JSON_COLUMNS:
        return cell
    if name in {"context", "provenance"} and len(cell) > MOST_PROVENANCE:
        raise InvalidFile(
            f"row {number}: {name}: expected at most {MOST_PROVENANCE} bytes, got {len(cell)}.", param=name
        )
    try:
        return json.loads(cell, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"row {number}: {name}: is not JSON: {error}", param=name, value=cell[:80]) from None


def _read_parquet(body: bytes, wanted: Translation) -> Iterable[tuple[Row, None]]:
    try:
        names, fields = _check_parquet(pq.ParquetFile(pa.BufferReader(body)), wanted)
        table = pq.ParquetFile(pa.BufferReader(body), read_dictionary=names, page_checksum_verification=True)
        number = texts = 0
        for batch in table.iter_batches(batch_size=1024, columns=list(fields)):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                texts += _text_bytes(name, column)
                if texts > MOST_TEXTS:
                    raise InvalidFile(f"the file's texts unpack to more than {MOST_TEXTS >> 20} MiB. Split the file.")
            for row in batch.to_pylist():
                number += 1
                cells = ((fields[name], value) for name, value in row.items() if value is not None)
                yield {n: _cell(n, value, number) if isinstance(value, str) else value for n, value in cells}, None
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise InvalidFile(f"the file is not Parquet, or is damaged: {str(error)[:300]}") from None


def _text_bytes(name: str, column: pa.Array) -> int:
    """How many bytes a column's texts unpack to."""
    if not isinstance(column, pa.DictionaryArray) or not len(column.dictionary):
        return 0
    lengths = pc.binary_length(column.dictionary)
    longest = pc.max(lengths).as_py() or 0
    if longest > MOST_TEXT:
        raise InvalidFile(f"{name}: expected texts of at most {MOST_TEXT} bytes, got one of {longest}.", param=name)
    return int(pc.sum(pc.take(lengths, column.indices)).as_py() or 0)


def _check_parquet(file: pq.ParquetFile, wanted: Translation) -> tuple[list[str], dict[str, str]]:
    """Refuse what is nested or unpacks to too much; return the columns of text, and the field of each that is read."""
    metadata = file.metadata
    schema = file.schema_arrow
    names = zip(schema.names, wanted.header(schema.names), strict=True)
    fields = {name: field for name, field in names if field is not None}
    texts = []
    for field in schema:
        if field.name not in fields:
            continue
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            texts.append(field.name)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = kind.value_type
        if not (
            field.name in texts
            or pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_null(kind)
            or (fields[field.name] == "curve" and _is_looks(kind))
        ):
            raise InvalidFile(
                f"{field.name}: expected a column of texts, numbers, booleans or lists of numbers, got the type "
                f"{field.type}. Use a column such as gap.value for each nested field.",
                param=field.name,
            )
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    _at_most(metadata.num_rows)
    if sum(group.total_byte_size for group in groups) > MOST_UNPACKED:
        raise InvalidFile(f"the file unpacks to more than {MOST_UNPACKED >> 20} MiB. Split it.")
    if sum(group.column(index).num_values for group in groups for index in range(group.num_columns)) > MOST_VALUES:
        raise InvalidFile(f"the file unpacks to more than {MOST_VALUES} values. Split it.")
    return texts, fields


def _is_looks(kind: pa.DataType) -> bool:
    """True for a mapping of numbers, as the looks of a curve are."""
    return pa.types.is_struct(kind) and all(
        pa.types.is_integer(part.type) or pa.types.is_floating(part.type) or part.name == "source" for part in kind
    )


def _nested(flat: Row) -> Row:
    """`{"gap.value": 1}` as `{"gap": {"value": 1}}`."""
    row: Row = {}
    for name, value in flat.items():
        outer, _, inner = name.partition(".")
        if inner:
            row.setdefault(outer, {})[inner] = value
        else:
            row[name] = value
    return row


def flat(row: Row) -> Row:
    """The other way, every column there, null where the row has nothing."""

    def look(name: str) -> Any:  # noqa: ANN401
        outer, _, inner = name.partition(".")
        value = row.get(outer)
        return (value or {}).get(inner) if inner else value

    return {name: look(name) for name in columns()}


def write(rows: Iterable[Row], form: Format) -> Iterator[bytes]:
    """Write rows as a file, piece by piece."""
    writers: dict[Format, Callable[[Iterable[Row]], Iterator[bytes]]] = {
        "json": _write_json,
        "ndjson": _write_ndjson,
        "csv": _write_csv,
        "parquet": _write_parquet,
    }
    return _in_pieces(writers[form](rows))


def _in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Larger pieces: a server hands each to another thread, which takes longer than to write a row."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _write_json(rows: Iterable[Row]) -> Iterator[bytes]:
    separator = '{"observations": [\n'
    for row in rows:
        yield (separator + json.dumps(row)).encode()
        separator = ",\n"
    yield b"\n]}\n" if separator == ",\n" else b'{"observations": []}\n'


def _write_ndjson(rows: Iterable[Row]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row).encode() + b"\n"


def _cell_of(value: Any) -> Any:  # noqa: ANN401
    """Write what a table has no type for as text."""
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return " ".join(value)
    return json.dumps(value) if isinstance(value, dict | list) else value


def _csv_value(value: Any) -> Any:  # noqa: ANN401
    return str(value).lower() if isinstance(value, bool) else _cell_of(value)


def _write_csv(rows: Iterable[Row]) -> Iterator[bytes]:
    out = io.StringIO(newline="")
    writer = csv.writer(out)  # lines end as RFC 4180 says, and then a lone \r is quoted, too
    writer.writerow(columns())
    for row in rows:
        writer.writerow([_csv_value(value) for value in flat(row).values()])
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()
    yield out.getvalue().encode()


def _parquet_type(name: str) -> pa.DataType:
    if name in _FLAGS:
        return pa.bool_()
    if name in _WHOLE:
        return pa.int64()
    return pa.float64() if name in _REAL else pa.string()


def _write_parquet(rows: Iterable[Row]) -> Iterator[bytes]:
    schema = pa.schema([(name, _parquet_type(name)) for name in columns()])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "observations.parquet"
        with pq.ParquetWriter(path, schema, write_page_checksum=True) as writer:
            for part in _in_parts(rows, 10_000):
                whole = [{name: _cell_of(value) for name, value in flat(row).items()} for row in part]
                writer.write_table(pa.Table.from_pylist(whole, schema))
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


def _in_parts(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
