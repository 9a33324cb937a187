"""The OpenAPI document: schemas of bodies that an endpoint reads by itself, and errors that any request can meet."""

from typing import Any

from pydantic import BaseModel

from service.kit import errors
from service.kit.problems import MEDIA_TYPE, problems

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


PREFIX = "/v1/"
ANYWHERE = (errors.Unauthorized, errors.MisdirectedRequest, errors.Unavailable, errors.Overloaded)
"""what every request of the API can meet"""
UNSAFE = (errors.ForeignOrigin, errors.TwoLengths, errors.BodyTooLarge)
"""what those that change something can meet besides"""
WITH_BODY = (errors.MalformedJson, errors.UnsupportedMediaType)
VALIDATION = "#/components/schemas/HTTPValidationError"
PROBLEM = "#/components/schemas/Problem"


def complete(document: OpenApi, *, keyed: bool) -> OpenApi:
    """Add the key, the errors that it and middleware raise, and the media type of errors.

    Args:
        document: FastAPI's, changed in place.
        keyed: requests need the API key.
    """
    schemes = {"key": {"type": "http", "scheme": "bearer", "description": "The API key, where the server has one."}}
    document.setdefault("components", {})["securitySchemes"] = schemes
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path.startswith(PREFIX):
                unsafe = UNSAFE if method != "get" else ()
                body = WITH_BODY if "requestBody" in operation else ()
                operation["security"] = [{"key": []}] if keyed else [{"key": []}, {}]
                _add(operation["responses"], (*ANYWHERE, *unsafe, *body))
            for response in operation["responses"].values():
                _as_problem(response)
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which nothing answers with
        document.get("components", {}).get("schemas", {}).pop(name, None)
    return document


def _add(responses: OpenApi, kinds: tuple[type[errors.GapcastError], ...]) -> None:
    for kind in kinds:
        entry = {"description": "", "content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM}}}}
        known = responses.setdefault(str(kind.status), entry)
        if f"`{kind.code}`" not in known["description"]:
            known["description"] = f"{known['description']} {problems(kind)[kind.status]['description']}".strip()


def _as_problem(response: OpenApi) -> None:
    content = response.get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    if schema.get("$ref") in {PROBLEM, VALIDATION}:
        response["content"] = {MEDIA_TYPE: {"schema": {"$ref": PROBLEM}}}
        if schema["$ref"] == VALIDATION:
            response["description"] = f"`{errors.InvalidRequest.code}`: {errors.InvalidRequest.__doc__}"
