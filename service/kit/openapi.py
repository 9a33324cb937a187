"""Schemas for bodies that an endpoint reads by itself."""

from typing import Any

from pydantic import BaseModel

OpenApi = dict[str, Any]
"""A part of an OpenAPI document: a JSON Schema, or what describes an operation."""


def inlined(model: type[BaseModel]) -> OpenApi:
    """A model's JSON schema without references, to stand inside an OpenAPI operation; no model may hold itself."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:  # noqa: ANN401
        if isinstance(node, list):
            return [resolve(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return resolve(
                definitions[node["$ref"].rpartition("/")[2]] | {k: v for k, v in node.items() if k != "$ref"}
            )
        return {name: resolve(value) for name, value in node.items()}

    resolved: OpenApi = resolve(schema)
    return resolved
