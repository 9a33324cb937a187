"""How the columns of a file become the fields of a problem: a public layout, a mapping of one's own, or both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gapcast.contract.accepted import listed
from gapcast.contract.base import FieldError, JsonObject
from gapcast.contract.nearest import did_you_mean
from gapcast.contract.problems import Preset, ProblemIn
from service.kit.errors import InvalidRequest
from service.tasks.presets import LAYOUTS

FIELDS = tuple(ProblemIn.model_fields)


@dataclass(frozen=True)
class Columns:
    """Where the fields of a problem are in a row; without both, the row is a problem as it stands."""

    preset: Preset | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    """by field: a column, or the place of a value inside one, `reward_model.ground_truth`"""

    @property
    def read(self) -> frozenset[str] | None:
        """The columns that are read; null: all, and each must be a field of a problem."""
        if self.preset is None and not self.paths:
            return None
        own = LAYOUTS[self.preset].columns if self.preset is not None else frozenset(FIELDS)
        return own | {name for path in self.paths.values() for name in (path, path.partition(".")[0])}

    def problem(self, row: JsonObject) -> JsonObject:
        """Turn a row without nulls into a problem.

        Raises:
            FieldError: names a column that is not there, or that the layout reads otherwise.
        """
        if self.preset is not None:
            made = LAYOUTS[self.preset].problem(row)
        elif self.paths:
            made = {name: row[name] for name in FIELDS if name in row}
        else:
            return row
        return made | {name: found for name, path in self.paths.items() if (found := _at(row, path)) is not None}


def _at(row: JsonObject, path: str) -> Any:  # noqa: ANN401
    """The value of a column, or inside one; null where an optional part is not there.

    Raises:
        FieldError: the row does not have the column.
    """
    if path in row:
        return row[path]
    head, *inner = path.split(".")
    if head not in row:
        raise FieldError(path, f"expected this column, as `map` names it, got {listed(list(row)[:12], 'and')}.")
    value: Any = row[head]
    for part in inner:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def columns_of(preset: Preset | None, mapped: Sequence[str]) -> Columns:
    """Read `FIELD=COLUMN` texts.

    Raises:
        InvalidRequest: one is no such text, or names no field of a problem.
    """
    paths: dict[str, str] = {}
    for text in mapped:
        name, equals, path = (part.strip() for part in text.partition("="))
        if not equals or not path or name not in FIELDS:
            near = did_you_mean(name, FIELDS) if equals else ""
            raise InvalidRequest(
                f"map: expected FIELD=COLUMN, where FIELD is one of {listed(FIELDS, 'and')}, got {text[:80]!r}.{near}",
                param="map",
                value=text[:80],
            )
        paths[name] = path
    return Columns(preset, paths)


def present(value: Any) -> Any:  # noqa: ANN401
    """A row without the fields that are null, which in a table say that a row has none."""
    if isinstance(value, dict):
        return {name: present(one) for name, one in value.items() if one is not None}
    return [present(one) for one in value] if isinstance(value, list) else value
