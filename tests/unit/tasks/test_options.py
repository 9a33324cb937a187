"""A verifier's options are checked when the file is sent, and not when its first completion is verified."""

import json
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.problems import Verifier, VerifierKind
from tests.unit.tasks.conftest import Send, lines, problem, sender

OBJECT = {"$id": "https://example.org/mine", "$defs": {"a": {"$anchor": "here", "type": "integer"}}}


def schema(send: Send, content: Any) -> Any:
    options = json.dumps({"json_schema": content})
    return send(lines(problem()), verifier="json_schema", options=options)


@pytest.mark.parametrize(
    ("verifier", "options", "param"),
    [
        ("json_schema", '{"json_schema": {"minimum": 1e400}}', "options.json_schema.minimum"),
        ("json_schema", '{"json_schema": {"enum": [1, -1e400]}}', "options.json_schema.enum.1"),
        ("plugin", '{"name": "x", "options": {"most": 1e999}}', "options.options.most"),
        ("numeric", '{"relative_tolerance": 1e400}', "options.relative_tolerance"),
        ("plugin", '{"name": "x", "options": {"a": "\\u0000"}}', "options.options.a"),
    ],
)
def test_what_cannot_be_stored_is_named(refusing: TestClient, verifier: str, options: str, param: str) -> None:
    answer = sender(refusing)(lines(problem()), verifier=verifier, options=options)
    assert (answer.status_code, answer.json()["param"]) == (422, param)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"type": "integre"}, "not a JSON Schema"),
        ({"properties": {"a": {"minimum": "3"}}}, r"$.properties.a.minimum"),
        ({"pattern": "(a"}, "not a JSON Schema"),
        ({"pattern": "a{99999999999999999999}"}, "not a JSON Schema"),
        ({"$ref": "https://example.org/other"}, "does not hold itself"),
        ({"$ref": "http://["}, "does not hold itself"),
        ({"items": {"$ref": "#/$defs/none"}}, "'#/$defs/none'"),
        ({"type": "object", "items": {"$ref": "#/type/x"}}, "does not hold itself"),
        ({"$defs": {"a": {"$dynamicRef": "#nowhere"}}}, "$dynamicRef"),
    ],
)
def test_a_schema_that_no_completion_can_be_checked_by(refusing: TestClient, content: Any, told: str) -> None:
    answer = schema(sender(refusing), content)
    assert (answer.status_code, answer.json()["param"]) == (422, "options.json_schema")
    assert told in answer.json()["detail"]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"type": "object", "properties": {"$ref": {"type": "string"}}, "const": {"$ref": "#/none"}},
        OBJECT | {"items": {"$ref": "#/$defs/a"}},
        OBJECT | {"items": {"$ref": "https://example.org/mine#here"}},
        {"items": {"$ref": "#"}},
    ],
)
def test_a_schema_that_is_whole_is_taken(send: Send, content: Any) -> None:
    assert schema(send, content).status_code == 201


@pytest.mark.parametrize("name", ["lab/x", "Mine"])
def test_a_name_that_is_refused_is_told_once(refusing: TestClient, name: str) -> None:
    answer = sender(refusing)(lines(problem()), name=name).json()
    assert answer["detail"].startswith("name: ")
    assert (answer["param"], [one["param"] for one in answer["errors"]]) == ("name", ["name"])
    assert not answer["errors"][0]["message"].startswith("name")


def test_every_verifier_can_be_named() -> None:
    kinds = [kind.model_fields["kind"].default for kind in get_args(get_args(Verifier)[0])]
    assert list(get_args(VerifierKind)) == kinds
