"""A base and values of some of its fields, as the configurations that they stand for."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gapcast.contract.accepted import Loc
from gapcast.contract.base import FieldError, JsonObject
from gapcast.contract.faults import moved, shown
from gapcast.contract.predictions import PredictionRequest

FEWEST, MOST = 2, 50
"""configurations of a comparison"""


def varied(base: JsonObject, vary: dict[str, list[Any] | JsonObject]) -> Iterator[PredictionRequest]:
    """Every combination of the values, in their order.

    Raises:
        FieldError: a field has no values, or the combinations are too many or too few.
        ValidationError: a combination is no configuration; its places are those of `base` and `vary`.
    """
    choices = []
    for field, values in vary.items():
        named = values if isinstance(values, dict) else {_name(value): value for value in values}
        if not named:
            raise FieldError(f"vary.{field}", "expected at least one value, got an empty list. Add one.")
        if len(named) < len(values):
            raise FieldError(f"vary.{field}", "expected each value once, got one twice. Leave it out.")
        keys = list(values) if isinstance(values, dict) else range(len(values))
        choices.append([(field, key, name, value) for key, (name, value) in zip(keys, named.items(), strict=True)])
    count = 1
    for values in choices:
        count *= len(values)
    if not FEWEST <= count <= MOST:
        message = f"expected from {FEWEST} to {MOST} combinations, got {count}."
        raise FieldError("vary", message + (" Vary fewer fields." if count > MOST else " Add a value."))
    for combination in product(*choices):
        written = dict(base)
        written["name"] = ", ".join(_label(*one, len(choices)) for one in combination)[:200]
        for field, _, _, value in combination:
            _set(written, field, value)
        try:
            yield PredictionRequest.model_validate(written)
        except ValidationError as error:
            raise moved(error, _mover({field: key for field, key, _, _ in combination})) from None


def _name(value: object) -> str:
    """How a value is called that nobody has named: a context by its kind and options, a model by its name."""
    if isinstance(value, dict):
        head = str(value.get("kind") or value.get("name") or "")
        rest = value.get("options", {}) if "kind" in value else {k: v for k, v in value.items() if k != "name"}
        options = ", ".join(f"{key} {_name(one)}" for key, one in rest.items()) if isinstance(rest, dict) else str(rest)
        return f"{head} ({options})" if head and options else head or options
    return shown(value).strip("'")


def _label(field: str, _key: object, name: str, _value: object, fields: int) -> str:
    return name if fields == 1 or field in {"context", "model"} else f"{field.rpartition('.')[2]} {name}"


def _set(written: JsonObject, field: str, value: object) -> None:
    """Set a field of a nested mapping, which is copied on the way."""
    *parents, last = field.split(".")
    place = written
    for parent in parents:
        inner = place.get(parent)
        place[parent] = dict(inner) if isinstance(inner, dict) else {"name": inner} if inner is not None else {}
        place = place[parent]
    place[last] = value


def _mover(keys: dict[str, object]) -> Callable[[ErrorDetails], Loc]:
    """Return what turns a place in a combination into that of `vary` or `base` in the request."""

    def move(row: ErrorDetails) -> Loc:
        loc = row["loc"]
        for field, key in keys.items():
            parts = tuple(field.split("."))
            if tuple(str(part) for part in loc[: len(parts)]) == parts:
                rest = loc[len(parts) :]
                unknown = row["type"] == "extra_forbidden" and not rest
                return ("vary", field) if unknown else ("vary", field, key if isinstance(key, int) else str(key), *rest)
        return ("base", *loc)

    return move
