"""What a verifier's options may hold, beyond the types that `gapcast.contract.problems` gives them."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, Schema

from gapcast.contract.base import JsonSchema

MOST_DEPTH = 64
"""levels of a verifier's options: schemas have a few, and nothing that reads them fails for their depth"""
MOST_NOTE = 300
"""characters of what is wrong with a schema, which quotes it"""
REFERENCES = {"$ref", "$dynamicRef"}


class Unstorable(NamedTuple):
    """Where something stands that cannot be stored, and what is wrong with it."""

    place: tuple[str, ...]
    message: str


def unstorable(value: Any, place: tuple[str, ...] = ()) -> Unstorable | None:  # noqa: ANN401
    """What databases or JSON could not say of it, if anything."""
    if len(place) > MOST_DEPTH:
        return Unstorable((), f"is nested more than {MOST_DEPTH} levels deep")
    if isinstance(value, str) and ("\x00" in value or any("\ud800" <= one <= "\udfff" for one in value)):
        return Unstorable(place, "contains a text with NUL or half a surrogate pair")
    if isinstance(value, float) and not math.isfinite(value):
        return Unstorable(place, "is a number beyond 1.8e308, which cannot be stored")
    inside: list[tuple[tuple[str, ...], Any]] = []
    if isinstance(value, dict):  # a key is told with what holds it
        inside = [*((place, key) for key in value), *(((*place, key), one) for key, one in value.items())]
    elif isinstance(value, list):
        inside = [((*place, str(index)), one) for index, one in enumerate(value)]
    return next((fault for at, one in inside if (fault := unstorable(one, at)) is not None), None)


def schema_fault(schema: JsonSchema) -> str | None:
    """Why no completion can be checked by it: it is no JSON Schema, or refers to what it does not hold itself."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"is not a JSON Schema: {error.json_path}: {error.message}"[:MOST_NOTE]
    except (OverflowError, RecursionError) as error:  # of a `pattern`
        return f"is not a JSON Schema: {error}"[:MOST_NOTE]
    root = DRAFT202012.create_resource(schema)
    registry: Registry[Schema] = Registry()  # it retrieves nothing: a remote reference is not looked up
    pending = [(root, registry.resolver_with_root(root))]
    while pending:
        part, resolver = pending.pop()
        held = part.contents if isinstance(part.contents, Mapping) else {}
        for name in held.keys() & REFERENCES:
            try:
                resolver.lookup(held[name])
            except (Unresolvable, ValueError, TypeError):  # the latter: it is no URL, or points into a text or number
                return f"has the {name} {held[name][:80]!r}, which it does not hold itself"
        pending += [(one, resolver.in_subresource(one)) for one in part.subresources()]
    return None
