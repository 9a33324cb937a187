"""The sentence about a field that does not fit: `expected X, got Y. Do Z.`, for pydantic's errors and for ours.

`Strict` notes with each error which model it happened in; the sentence is made from that model's schema where an error
is shown. No word of pydantic's reaches a user.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from gapcast.contract.accepted import Accepted, Loc, figure, listed
from gapcast.contract.nearest import did_you_mean, nearest, same

MOST = 100
"""errors of one model that are kept: a body of a hundred thousand wrong names is not worth as many sentences"""
LONGEST = 80
"""characters of a value that are shown"""

EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "enum": "{expected}",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} at most",
    "list_type": "a list",
    "literal_error": "{expected}",
    "missing": "a value",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "path_type": "a path",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "string_too_long": "a text of at most {max_length} characters",
    "string_too_short": "a text of at least {min_length} characters",
    "string_type": "a text",
    "string_unicode": "a text without half a surrogate pair",
    "too_long": "a list of at most {max_length} items",
    "too_short": "a list of at least {min_length} items",
    "union_tag_invalid": "{expected_tags}",
    "union_tag_not_found": "a value",
}
"""What pydantic's types of errors expect, where no schema says it better: of a query, of a setting."""
OWN_WORDS = {"finite_number", "int_parsing_size", "string_unicode"}
"""Types of which the schema says less than this table."""
ABSENT = {"missing", "union_tag_not_found"}
"""Types of a field that was not sent; pydantic's value is then that of the mapping around it."""
LENGTHS = {"string_too_short": "string", "string_too_long": "string", "too_short": "array", "too_long": "array"}
"""Types that are about a length, and of which JSON type."""

POINTS = ("value", "se", "gap", "min_gain", "target_half_width", "target_gap_half_width")
SHARES = dict.fromkeys(("level", "levels", "rate", "coverage", "student", "baseline"), "%") | dict.fromkeys(
    POINTS, "accuracy points"
)
"""Fields that are shares, and what people send in place of one."""


class Within(NamedTuple):
    """A place inside a model."""

    model: type[BaseModel]
    loc: Loc


def noted(model: type[BaseModel], error: ValidationError) -> ValidationError:
    """Return a model's error with a note, in every row, of the innermost and outermost model around its place."""
    return ValidationError.from_exception_data(
        error.title, [_with_note(Within(model, row["loc"]), row) for row in error.errors(include_url=False)[:MOST]]
    )


def _with_note(within: Within, row: ErrorDetails) -> InitErrorDetails:
    context = {"inner": within} | row.get("ctx", {}) | {"outer": within}
    kept = PydanticCustomError(row["type"], row["msg"], context)
    return InitErrorDetails(type=kept, loc=row["loc"], input=row["input"])


def moved(error: ValidationError, move: Callable[[ErrorDetails], Loc]) -> ValidationError:
    """Return a model's error with other places: those where its user has written what it was made of."""
    rows = error.errors(include_url=False)[:MOST]
    return ValidationError.from_exception_data(
        error.title,
        [
            InitErrorDetails(
                type=PydanticCustomError(row["type"], row["msg"], row.get("ctx")),
                loc=move(row),
                input=row["input"],
            )
            for row in rows
        ],
    )


def sentence(row: Mapping[str, Any]) -> str:
    """Return the sentence about one of pydantic's errors, without the name of its field."""
    kind, context, value = row["type"], row.get("ctx", {}), row.get("input")
    raised = context.get("error")
    if isinstance(raised, Exception) or kind not in EXPECTED.keys() | {"extra_forbidden"}:
        return ended(str(raised) if isinstance(raised, Exception) else row["msg"])
    if kind == "extra_forbidden":
        return _unknown(row["loc"], context)
    accepted, field = _accepted(context)
    advice = _advice(kind, value, accepted, field, str(context.get("expected", "")))
    return f"expected {_expected(kind, context, accepted)}, got {_got(kind, value)}.{advice}"


def expectation(row: Mapping[str, Any]) -> str:
    """Return the same without the value, which may be a secret."""
    kind, context = row["type"], row.get("ctx", {})
    if kind not in EXPECTED or kind in ABSENT:
        return sentence(row)
    return f"expected {_expected(kind, context, _accepted(context)[0])}."


def _accepted(context: Mapping[str, Any]) -> tuple[Accepted | None, str]:
    """Return what the place of an error accepts, and the name of its field; nothing where no model is noted."""
    inner = context.get("inner")
    if inner is None:
        return None, ""
    names = [part for part in inner.loc if isinstance(part, str)]
    within = inner if inner.loc else context["outer"]  # a model may stand where others, or a text, may stand, too
    return Accepted.by(within.model).at(within.loc), names[-1] if names else ""


def _expected(kind: str, context: Mapping[str, Any], accepted: Accepted | None) -> str:
    words = accepted.words(length_of=LENGTHS.get(kind)) if accepted and kind not in OWN_WORDS else ""
    if kind == "missing":
        words = words.removesuffix(", or null")
    return words or EXPECTED[kind].format(**context).replace("'", "").replace(" 1 items", " 1 item")


def ended(text: str) -> str:
    """Return a sentence with its full stop."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def naming(message: str, value: object) -> str:
    """Return a sentence about a value that also names it, as every one of `sentence` does."""
    message = ended(message)
    if value is None or ", got " in message or repr(value) in message:
        return message
    first, stop, rest = message.partition(". ")
    if not stop:
        first, stop = message[:-1], message[-1]
    return f"{first} (got {value!r}){stop}{rest}"


def shown(value: object) -> str:
    """Return a value as a message names it; of a list or a mapping only that it is one."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return figure(value) if math.isfinite(value) else str(value).replace("nan", "NaN").replace("inf", "Infinity")
    if isinstance(value, int):
        return str(value) if abs(value) < 10**15 else f"{value:.3g}" if abs(value) < 10**300 else "a huge number"
    if isinstance(value, str):
        return repr(value) if len(value) <= LONGEST else f"{value[: LONGEST - 3]!r}..."
    if isinstance(value, list | tuple | set | frozenset):
        return "a list" if value else "an empty list"
    return "a mapping"


def _got(kind: str, value: Any) -> str:  # noqa: ANN401
    if kind in ABSENT:
        return "nothing"
    if kind in LENGTHS and len(value) > 0:
        unit = "a text of {} character" if isinstance(value, str) else "a list of {} item"
        return unit.format(len(value)) + "s" * (len(value) != 1)
    return "an empty text" if value == "" else shown(value)


def _advice(kind: str, value: object, accepted: Accepted | None, field: str, choices: str) -> str:
    if kind in ABSENT:
        return " Add it."
    if accepted is None:
        return did_you_mean(value, re.findall(r"'([^']*)'", choices)) if isinstance(value, str) else ""
    if isinstance(value, str):
        question = did_you_mean(value, accepted.names)
        if question:
            return question
        kind_meant = nearest(value, accepted.kinds)
        if kind_meant is not None:
            return f" Write {{kind: {kind_meant}}}."
        if kind in {"float_parsing", "int_parsing"}:
            return _as_number(value, whole=kind == "int_parsing")
    if isinstance(value, bool | int | float) and kind == "string_type":
        return " Put it in quotes."
    is_share = field in SHARES and "number" in accepted.types and kind.startswith("less_than")
    return _as_share(value, SHARES[field]) if is_share else ""


def _as_share(value: Any, unit: str) -> str:  # noqa: ANN401
    """Advise somebody who wrote 5 for 0.05; a table's numbers come as texts."""
    number = float(value)
    return f" A share is expected: {figure(number / 100)} is {figure(number)} {unit}." if number <= 100 else ""


def _as_number(text: str, *, whole: bool) -> str:
    """Say how to write `5 %` or `0,5` as a number; empty for 1.5 where the number must be whole."""
    bare = text.strip().removesuffix("%").strip().replace(",", ".")
    try:
        number = float(bare) / (100 if "%" in text else 1)
    except ValueError:
        return ""
    return f" Write {figure(number)}." if math.isfinite(number) and (number.is_integer() or not whole) else ""


def _unknown(loc: Loc, context: Mapping[str, Any]) -> str:
    """Return the sentence about a name that is not a field of its mapping."""
    inner, outer = context.get("inner"), context.get("outer")
    around = loc if outer is None else outer.loc  # of an item of a list: without its place in it
    owner = ".".join(str(part) for part in around[:-1] if part != "body")
    told = f"is not a field of {owner}." if owner else "is not a known field."
    if inner is None or outer is None:
        return told
    name = str(inner.loc[-1])
    fields = Accepted.by(inner.model).at(inner.loc[:-1]).fields
    root = Accepted.by(outer.model)
    sure = same(name, fields)
    first, dot, rest = name.partition(".")
    if dot and (first, *rest.split(".")) in root.paths():
        return f"{told} Write {rest} as a field of {first}."
    if sure is None:
        owners = _kinds_with(name, root, outer.loc)
        if owners:
            return f"{told} It belongs to the {'kinds' if len(owners) > 1 else 'kind'} {listed(owners, 'and')}."
        elsewhere = _elsewhere(name, root, outer.loc)
        if elsewhere is not None:
            return f"{told} Did you mean {elsewhere}?"
    near = sure or nearest(name, fields)
    return f"{told} Did you mean {near}?" if near is not None else f"{told} {_fields(fields)}"


def unknown_field(name: str, fields: Iterable[str]) -> str:
    """Return the sentence about a name that is not one of these fields."""
    known = list(fields)
    near = nearest(name, known)
    return "is not a known field. " + (f"Did you mean {near}?" if near is not None else _fields(known))


def _fields(fields: Sequence[str]) -> str:
    return f"The fields are {listed(fields, 'and')}." if fields else "There are no options here."


def _kinds_with(name: str, root: Accepted, loc: Loc) -> list[str]:
    """Return the kinds of context, or of verifier, that have this field where the sent kind has not."""
    for depth in range(len(loc)):
        choice = root.at(loc[:depth])
        if choice.kinds:
            inside = loc[depth:-1]
            return [kind for kind in choice.kinds if name in choice.of_kind(kind).at(inside).fields]
    return []


def _elsewhere(name: str, root: Accepted, loc: Loc) -> str | None:
    """Return the path of a field that has this name, or is called so by others, at another place of the request."""
    choice = next((loc[:depth] for depth in range(len(loc)) if root.at(loc[:depth]).kinds), None)
    places = [
        place for place in root.paths() if place[:-1] != loc[:-1] and (choice is None or place[: len(choice)] != choice)
    ]
    for find in (lambda last: last == name, lambda last: same(name, [last]) is not None):
        found = next((place for place in places if find(place[-1])), None)
        if found is not None:
            return ".".join(found)
    return None
