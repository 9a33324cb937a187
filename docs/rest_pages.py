"""The reference of the REST API as pages, made from the OpenAPI document: operations and objects by resource."""

import json
import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

REFERENCE = "#/components/schemas/"
BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}
FOR = (
    "For anyone who calls the server from a program. After reading this page you know what each operation of {} takes, "
    "what it answers, and how it can fail. [The API in a page](../../api.md) shows the operations at work."
)
SHARED = (
    "For anyone who calls the server from a program. After reading this page you know the fields of the objects that "
    "several resources share."
)


def rest_pages(document: Json) -> dict[str, str]:
    """Return the pages of `reference/rest/` by name: one for each tag, `objects.md` for what several of them share."""
    tags: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    schemas = document["components"]["schemas"]
    used = {tag: _reached([operation for _, _, operation in rows], schemas) for tag, rows in tags.items()}
    homes = {}
    for name in schemas:
        users = [tag for tag in tags if name in used[tag]]
        homes[name] = f"{users[0]}.md" if len(users) == 1 else "objects.md"
    pages = {}
    for tag, rows in sorted(tags.items()):
        own = [name for name in schemas if homes[name] == f"{tag}.md"]
        write = _Writer(f"{tag}.md", homes)
        title = tag.replace("_", " ")
        parts = [f"# {title[0].upper()}{title[1:]}", FOR.format(title)]
        parts += [write.operation(*row) for row in rows]
        parts += ["## Objects" if own else "", *(write.schema(name, schemas[name]) for name in own)]
        pages[f"{tag}.md"] = "\n\n".join(part for part in parts if part) + "\n"
    write = _Writer("objects.md", homes)
    shared = [write.schema(name, schemas[name]) for name in schemas if homes[name] == "objects.md"]
    pages["objects.md"] = "\n\n".join(["# Shared objects", SHARED, *shared]) + "\n"
    return pages


def _named(schema: object) -> Iterator[str]:
    """Find the schemas that a part of the document refers to."""
    yield from re.findall(rf'"{REFERENCE}([^"]+)"', json.dumps(schema))


def _reached(operations: list[Json], schemas: Json) -> set[str]:
    reached: set[str] = set()
    waiting = list(_named(operations))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _named(schemas[name])
    return reached


def cell(text: object) -> str:
    """Return text as a cell of a table: one line, without HTML, `|` written so that it does not end the cell."""
    line = " ".join(str(text).split()).replace("|", "\\|")
    outside = [
        part if at % 2 else part.replace("<", "&lt;").replace("*", "\\*") for at, part in enumerate(line.split("`"))
    ]
    return "`".join(outside)


class _Writer:
    """Writes the parts of one page; `homes` are the pages of the schemas."""

    def __init__(self, page: str, homes: dict[str, str]) -> None:
        self.page = page
        self.homes = homes

    def operation(self, method: str, path: str, operation: Json) -> str:
        """Write one operation."""
        parts = [f"## {method} {path} {{#{operation['operationId']}}}", cell(operation.get("description", ""))]
        parameters = [one for one in operation.get("parameters", []) if "schema" in one]
        if parameters:
            rows = [
                (
                    f"`{one['name']}`",
                    one["in"],
                    self.type(one["schema"]),
                    self.said(one["schema"], one.get("description")),
                )
                for one in parameters
            ]
            parts.append(_table(("parameter", "in", "type", "meaning"), rows))
        body = operation.get("requestBody", {}).get("content", {})
        if body:
            parts.append("**Body**\n\n" + self.contents(body))
        answers, refusals = [], []
        for status, answer in operation["responses"].items():
            if status.startswith("2") or status.startswith("3"):
                shown = self.contents(answer.get("content", {}))
                said = answer.get("description", "").replace("Successful Response", "")
                answers.append(
                    "\n".join([f"- **{status}** {cell(said)}", *(f"    {line}" for line in shown.splitlines())])
                )
            else:
                codes = re.findall(r"`(\w+)`:", answer.get("description", ""))
                refusals.append(f"{status} " + ", ".join(f"[`{code}`](../errors.md#{code})" for code in codes))
        parts.append("**Answers**\n\n" + "\n".join(answers))
        if refusals:
            parts.append("**Errors**: " + "; ".join(refusals))
        return "\n\n".join(part for part in parts if part)

    def contents(self, content: Json) -> str:
        """Write the types that a body or an answer may have."""
        return "\n".join(f"- `{media}`: {self.type(one.get('schema', {}))}" for media, one in content.items())

    def schema(self, name: str, schema: Json) -> str:
        """Write one object: its fields, or what else it is."""
        parts = [f"### {_shown(name)} {{#{_anchor(name)}}}", cell(schema.get("description", ""))]
        if "properties" in schema:
            required = schema.get("required", [])
            rows = [
                (
                    f"`{field}`",
                    self.type(of),
                    _default(of, required=field in required),
                    self.said(of, of.get("description")),
                )
                for field, of in schema["properties"].items()
            ]
            parts.append(_table(("field", "type", "default", "meaning"), rows))
        else:
            parts.append(self.type(schema))
        return "\n\n".join(part for part in parts if part)

    def said(self, schema: Json, description: str | None) -> str:
        """Write what a field means, with the bounds of its values."""
        bounds = [text.format(schema[key]) for key, text in BOUNDS.items() if key in schema]
        return cell("; ".join(part for part in [description or "", ", ".join(bounds)] if part))

    def type(self, schema: Json) -> str:
        """Write a type in words, with links to the objects."""
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(REFERENCE)
            home = "" if self.homes[name] == self.page else self.homes[name]
            return f"[{_shown(name)}]({home}#{_anchor(name)})"
        if "const" in schema:
            return f"`{json.dumps(schema['const'])}`"
        if "enum" in schema:
            return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
        for several in ("anyOf", "oneOf", "allOf"):
            if several in schema:
                return " or ".join(dict.fromkeys(self.type(one) for one in schema[several]))
        kind = schema.get("type", "any value")
        if kind == "array":
            return f"list of {self.type(schema.get('items', {}))}"
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return f"object of {self.type(schema['additionalProperties'])}"
        return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def _shown(name: str) -> str:
    """Return a schema's name for people: FastAPI has two of one that is both sent and answered."""
    if paged := re.fullmatch(r"Page_(\w+)_", name):
        return f"Page of {paged[1]}"
    base, _, way = name.partition("-")
    return f"{base} ({ {'Input': 'sent', 'Output': 'answered'}[way] })" if way else base


def _anchor(name: str) -> str:
    return name.lower().replace("_", "-")


def _default(schema: Json, *, required: bool) -> str:
    if required:
        return "required"
    return f"`{json.dumps(schema['default'])}`".replace("|", "\\|") if "default" in schema else ""


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
