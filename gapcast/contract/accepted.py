"""The values that a field accepts, in words, read from the JSON Schema of the model that it belongs to."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
"""A JSON Schema, or the place in one where a field stands."""

Loc = tuple[int | str, ...]
"""The place of a fault, as pydantic names it."""

PATTERNS = {
    r"^[a-z0-9][a-z0-9_.-]{0,63}$": "a name of 1 to 64 lower-case letters, digits, `_`, `.` and `-`",
    r"^[a-z0-9][a-z0-9._-]{0,63}(/[a-z0-9][a-z0-9._-]{0,63})?$": "a name of lower-case letters, digits, `.`, `_` and "
    "`-`, with at most one `/`, such as mine/products",
    r"^[a-z0-9_-]{1,32}$": "a name of 1 to 32 lower-case letters, digits, `_` and `-`",
    r"^[a-z0-9._-]{1,64}$": "1 to 64 lower-case letters, digits, `.`, `_` and `-`",
    **{
        rf"^{kind}_[0-9a-f]{{0,32}}$": f"the start of an id, such as {kind}_0199"
        for kind in ("pred", "probe", "cmp", "run", "obs", "fit")
    },
    r"^[a-z]+_[0-9a-f]{32}$": "an id, such as pred_ with 32 digits of 0 to f",
    r"^[A-Z]+$": "capital letters such as ABCDE",
    r"^\S+$": "a text without spaces",
    r"^[^|]+$": "a text without |",
}
"""The regular expressions of our fields in words; a test finds one that is missing."""


@lru_cache(maxsize=64)
def schema_of(model: type[BaseModel]) -> Schema:
    """Return a model's JSON Schema."""
    return model.model_json_schema()


def listed(words: Sequence[str], last: str = "or") -> str:
    """Return `a, b or c`."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end


class Accepted:
    """The values that one place of a request accepts: all schemas that may stand there."""

    def __init__(self, schemas: Sequence[Schema], root: Schema) -> None:
        self._root = root
        self.schemas = [one for schema in schemas for one in self._choices(schema)]

    @classmethod
    def by(cls, model: type[BaseModel]) -> "Accepted":
        """Return what a whole model accepts."""
        root = schema_of(model)
        return cls([root], root)

    def at(self, loc: Loc) -> "Accepted":
        """Return what a place inside accepts: nothing known where the schema does not say it."""
        here = self
        for part in loc:
            inner = Accepted([schema for one in here.schemas for schema in _inside(one, part)], self._root)
            # pydantic also writes the branch of a union into the place, which no schema knows
            here = inner if inner.schemas or isinstance(part, int) or here.fields else here
        return here

    def of_kind(self, kind: str) -> "Accepted":
        """Return the same for one `kind` alone, where this is a choice of several."""
        return Accepted([one for one in self.schemas if _constant(one, "kind") == kind], self._root)

    @property
    def kinds(self) -> list[str]:
        """The kinds of a choice of mappings; empty where there is one at most."""
        kinds = [kind for one in self.schemas if (kind := _constant(one, "kind")) is not None]
        return kinds if len(kinds) > 1 else []

    @property
    def fields(self) -> list[str]:
        """The fields of a mapping; of all of them where there is a choice."""
        return list(dict.fromkeys(name for one in self.schemas for name in one.get("properties", {})))

    @property
    def names(self) -> list[str]:
        """The texts that can be chosen from; empty where any text may stand."""
        constants = [[one["const"]] if "const" in one else one.get("enum", []) for one in self.schemas]
        return [name for names in constants for name in names if isinstance(name, str)]

    @property
    def types(self) -> set[str]:
        """The JSON types that may stand here."""
        return {one["type"] for one in self.schemas if "type" in one}

    def paths(self) -> Iterator[tuple[str, ...]]:
        """Yield the place of every field below, the nearest first."""
        level: list[tuple[tuple[str, ...], Accepted]] = [((), self)]
        while level:
            deeper = []
            for place, here in level:
                for name in here.fields if not here.kinds else ["kind", "options"]:
                    yield (*place, name)
                    deeper.append(((*place, name), here.at((name,))))
            level = deeper

    def words(self, *, length_of: str | None = None) -> str:
        """Return the values in words, such as `a whole number from 1 to 64, or null`; empty if nothing is known.

        Args:
            length_of: the JSON type whose length does not fit; then the words are of that type alone, with its length.
        """
        names = self.names
        texts = [listed(names)] if names else []
        if self.kinds:
            texts = [f"a mapping with kind ({listed(self.kinds)})"]
        else:
            schemas = [one for one in self.schemas if length_of in {None, one.get("type")}]
            texts += [text for one in schemas if (text := _words(one, lengths=length_of is not None))]
        texts = list(dict.fromkeys(texts))
        null = ", or null" if "null" in self.types and texts else ""
        return " or ".join(texts) + null

    def _choices(self, schema: Schema) -> Iterator[Schema]:
        """Yield a schema itself, or each that it offers; what stands beside a choice is true of each."""
        choices = schema.get("anyOf") or schema.get("oneOf")
        if "$ref" in schema:
            choices = [self._root["$defs"][schema["$ref"].rpartition("/")[2]]]
        if choices is None:
            yield schema
            return
        beside = {"description": schema["description"]} if "description" in schema else {}
        for choice in choices:
            for one in self._choices(choice):
                yield one | beside


def _inside(schema: Schema, part: int | str) -> list[Schema]:
    if isinstance(part, int):
        return [schema["items"]] if "items" in schema else []
    return [schema["properties"][part]] if part in schema.get("properties", {}) else []


def _constant(schema: Schema, name: str) -> str | None:
    constant = schema.get("properties", {}).get(name, {}).get("const")
    return constant if isinstance(constant, str) else None


def _words(schema: Schema, lengths: bool) -> str:
    kind = schema.get("type")
    if "const" in schema or "enum" in schema:
        return ""
    if kind in {"integer", "number"}:
        return _number(schema)
    if schema.get("format") == "path":
        return "a path"
    if kind == "string":
        length = _length(schema, "Length", "character", lengths)
        return f"a text{length}" if length else PATTERNS.get(schema.get("pattern", ""), "a text")
    if kind == "array":
        return "a list" + _length(schema, "Items", "item", lengths)
    if kind == "object":
        return "a mapping" + (f" with {listed(schema['required'], 'and')}" if schema.get("required") else "")
    return {"boolean": "true or false"}.get(str(kind), "")


def _number(schema: Schema) -> str:
    whole = schema["type"] == "integer"
    noun = "a whole number" if whole else "a number"
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if whole:
        least = above + 1 if above is not None else least
        most = below - 1 if below is not None else most
        above = below = None
    if least is not None and most is not None:
        return f"{noun} from {figure(least)} to {figure(most)}"
    low = f"of {figure(least)} or more" if least is not None else f"above {figure(above)}" if above is not None else ""
    high = f"at most {figure(most)}" if most is not None else f"below {figure(below)}" if below is not None else ""
    if low and high:
        return f"{noun} {low} and {high}"
    return " ".join(text for text in (noun, low or high) if text)


def _length(schema: Schema, name: str, unit: str, lengths: bool) -> str:
    least, most = schema.get(f"min{name}"), schema.get(f"max{name}")
    if not lengths or (least is None and most is None):
        return ""
    if least and most:
        return f" of {least} to {most} {unit}s"
    return f" of at most {most} {unit}s" if most is not None else f" of at least {least} {unit}{'s' * (least != 1)}"


def figure(number: float) -> str:
    """Return a number as people write it: 4294967295 and 0.05, never 4.29497e+09."""
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e16 else f"{number:g}"
