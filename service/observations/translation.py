"""A table in people's own words and units: which of their columns is which field, what rows lack, percent."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gapcast.contract.lists import ObservationImport
from gapcast.contract.nearest import did_you_mean
from gapcast.contract.observations import MOST_DEPTH, RowWarning
from service.errors import InvalidFile
from service.kit.errors import InvalidRequest
from service.observations.accuracies import ACCURACIES, SIZES
from service.observations.columns import columns, count_columns
from service.observations.curves import COLUMN
from service.observations.percent import PARTS, Percent

Row = dict[str, Any]

FIELDS = (*columns(), "curve", *count_columns(), *ACCURACIES, *SIZES)
"""of a table; for a curve also a column a step"""
KNOWN = frozenset(FIELDS)
NOTES = ("context", "provenance")
"""mappings that stay whole"""
MOST_UNUSED = 50
"""columns whose names are kept, of those that are not read"""
MOST_SEEN = 2000
"""names of columns that are remembered of rows that each have their own"""


class Translation:
    """The translation that an import asks for; without any of it, the fields of a row are what they say."""

    def __init__(self, asked: ObservationImport) -> None:
        self._fields = dict(_pairs("map", asked.map))
        self._defaults = {name: value for name, value in _pairs("default", asked.default) if value}
        self.percent = Percent() if asked.percent else None
        self._seen: dict[str, None] = {}
        self._unused: dict[str, None] = {}
        taken: dict[str, str] = {}
        for column, field in self._fields.items():
            other = taken.setdefault(field, column)
            if field and other != column:
                message = f"map: both {other!r} and {column!r} are {field}. Leave one of them out."
                raise InvalidRequest(message, param="map")
        self._column_of = {field: column for field, column in taken.items() if field}

    @property
    def is_asked(self) -> bool:
        """True if rows are to be taken apart: a column is named, or a field is given to those that lack it."""
        return bool(self._fields or self._defaults)

    @property
    def unused(self) -> list[str]:
        """Columns that were not read."""
        return list(self._unused)

    def header(self, names: Sequence[str]) -> list[str | None]:
        """Return the field of each column, None for one that is not read.

        Raises:
            InvalidFile: a column is not known, is named by `map` and not there, or is there twice.
        """
        self._require(names)
        fields = [self._field(name, names) for name in names]
        for name, field in zip(names, fields, strict=True):
            if field is not None and fields.count(field) > 1:
                raise InvalidFile(f"column {name!r} appears twice. Leave one of them out.", param=name)
        return fields

    def row(self, row: Row) -> Row:
        """Return the fields of a row that may be nested, flat; columns that `map` does not name stay as they are."""
        found: Row = {}
        for name, value in _flat(row):
            if len(self._seen) < MOST_SEEN:
                self._seen[name] = None
            field = self._field(name) if self._fields else name
            if field is not None:
                found[field] = value
        return found

    def complete(self, row: Row) -> Row:
        """Return a flat row with the fields that it lacks."""
        given = {name: value for name, value in row.items() if value is not None or name not in self._defaults}
        return self._defaults | given

    def finish(self) -> None:
        """Judge the file after its last row.

        Raises:
            InvalidFile: a column that `map` names was nowhere.
        """
        if self._seen:
            self._require(list(self._seen))

    def column_of(self, param: str) -> str | None:
        """Return the column that a field of a row was read from, where it has another name."""
        field = param if param in self._column_of else f"{param}.value"
        return self._column_of.get(field)

    def warnings(self) -> Iterator[RowWarning]:
        """Say what may be wrong with the units."""
        if self.percent is not None:
            yield from self.percent.warnings()

    def _require(self, names: Sequence[str]) -> None:
        for column in self._fields:
            if column not in names:
                raise InvalidFile(
                    f"map: expected a column of the file, got {column[:80]!r}.{did_you_mean(column, names)} The "
                    f"columns are {_listed(names)}.",
                    param="map",
                    value=column[:80],
                )

    def _field(self, name: str, names: Iterable[str] = ()) -> str | None:
        field = self._fields.get(name)
        if field is None:
            field = name if name not in self._column_of else ""  # `map` says which column is the field
        if field in KNOWN or COLUMN.fullmatch(field):
            return field
        if field and not self._fields:
            known = ", ".join(columns())
            counts = ", ".join(sorted({*count_columns(), "curve"} - set(columns())))
            raise InvalidFile(
                f"column {name[:80]!r} is not known.{did_you_mean(name, FIELDS)} The columns are {known}, with counts "
                f"per problem {counts}, or as accuracies {', '.join(ACCURACIES)} with {' and '.join(SIZES)}, and for "
                "a curve accuracy@STEP or improvement@STEP with se@STEP, such as accuracy@30. To read columns of other "
                "names, name them with map.",
                param=name[:80],
            )
        if len(self._unused) < MOST_UNUSED:
            self._unused[name] = None
        return None


def _pairs(param: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`COLUMN=FIELD` of `map`, `FIELD=VALUE` of `default`.

    Raises:
        InvalidRequest: a text is none, or names no field.
    """
    seen = set()
    for text in texts:
        first, equals, last = (text.rpartition if param == "map" else text.partition)("=")
        first, last = first.strip(), last.strip()
        shape = "COLUMN=FIELD" if param == "map" else "FIELD=VALUE"
        if not equals or not first:
            raise InvalidRequest(f"{param}: expected {shape}, got {text[:80]!r}.", param=param, value=text[:80])
        if first in seen:
            raise InvalidRequest(f"{param}: names {first[:80]!r} twice. Leave one of them out.", param=param)
        seen.add(first)
        field = last if param == "map" else first
        whole = f"{field}.value" if field in PARTS else field
        if whole and whole not in KNOWN and not COLUMN.fullmatch(whole):
            near = did_you_mean(field, FIELDS) or f" The fields are {', '.join(FIELDS)}."
            message = f"{param}: expected a field of an observation in {text[:80]!r}, got {field[:80]!r}.{near}"
            raise InvalidRequest(message, param=param, value=text[:80])
        yield (first, whole) if param == "map" else (whole, last)


def _flat(row: Row, at: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The fields of a row, `{"gap": {"value": 1}}` as `gap.value`; what is nested too deeply stays as it is."""
    for name, value in row.items():
        whole = f"{at}{name}"
        if isinstance(value, dict) and value and whole not in NOTES and depth < MOST_DEPTH:
            yield from _flat(value, f"{whole}.", depth + 1)
        else:
            yield whole, value


def _listed(names: Sequence[str], most: int = 40) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
