import json
import socket
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gapcast.contract.problems import JsonSchemaVerifier
from workers.failures import JobError
from workers.tasks import Problem, Split, Verdict, json_patterns
from workers.tasks.json_answers import JsonAnswers

SCHEMA = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer"}, "unit": {"enum": ["m", "km"]}},
}


def verify(completion: str, answer: str | None = None, schema: dict[str, Any] = SCHEMA) -> Verdict:
    problem = Problem(id="p", split=Split.train, prompt="?", answer=answer)
    return JsonAnswers(JsonSchemaVerifier(json_schema=schema))(problem, completion)


@pytest.mark.parametrize(
    "completion",
    [
        '{"n": 1}',
        'First ```json\n{"n": "x"}\n``` but then\n```json\n{"n": 1}\n```\nDone.',
        '```json {"n": 1} ```',
        '```json\n{"n": 1, "s": "a ``` inside"}\n```',
        '```json\n{"n": 1}',
        '```\n{"n": 1}\n```',
        '```json\n{"n": 1}\n```\nRun:\n```bash\ncat a.json\n```',
        '{"n": 2}? No: {"n": 1}\n\nThis is the JSON [1].',
        '<answer>{"n": 1}</answer>',
        '<tool_call>\n{"n": 1}\n</tool_call>',
        '<answer>```json\n{"n": 1}\n```</answer> as in {"n": "x"}',
    ],
)
def test_finds_the_json_that_is_meant(completion: str) -> None:
    assert verify(completion).success


@pytest.mark.parametrize(
    ("completion", "note"),
    [
        ("n is 1", "There is no JSON"),
        ('{"n": 2, "n": 1}', "There is no JSON: the key 'n' stands twice in an object"),
        ('{"m": {"n": 1}, }', "There is no JSON"),
        ('{"n": NaN}', "NaN is not a JSON value"),
        ("{}", "'n' is a required property"),
        ('{"n": "x"}', "$.n: 'x' is not of type 'integer'"),
        ("[" * 100_000, "longer than"),
        ("[" * 50_000, "nested too deeply"),
        ("1" * 5000, "There is no JSON"),
    ],
)
def test_says_what_does_not_fit(completion: str, note: str) -> None:
    verdict = verify(completion)
    assert verdict.score == 0
    assert note in verdict.note


def test_a_note_does_not_list_what_would_be_allowed() -> None:
    verdict = verify('{"n": 1, "unit": "mm"}')
    assert verdict.note == "$.unit: the value is not one that the schema allows."


@pytest.mark.parametrize(
    ("completion", "score"), [('{"n": 1.0}', 1), ('{"n": 2}', 0), ('{"n": 1, "x": true}', 0), ('{"n": true}', 0)]
)
def test_equals_the_answer_as_json(completion: str, score: float) -> None:
    verdict = verify(completion, '{"n": 1}')
    assert verdict.score == score
    assert score or verdict.failures[0].expected == '{"n": 1}'


@pytest.mark.parametrize(("completion", "score"), [("[1, {}]", 1), ("[1.0, {}]", 1), ("[true, {}]", 0), ("[1]", 0)])
def test_true_is_not_one(completion: str, score: float) -> None:
    assert verify(completion, "[1, {}]", schema={}).score == score


EVIL = "^(a|aa|a?)+c$"
LONG = "a" * 5000 + "cb"


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {LONG: {"pattern": EVIL}}},
        {"properties": {LONG: {"not": {"pattern": EVIL}}}},
        {"patternProperties": {EVIL: {}}},
        {"propertyNames": {"pattern": EVIL}},
        {"additionalProperties": False, "patternProperties": {EVIL: {}}},
        {"additionalProperties": {"type": "integer"}, "patternProperties": {EVIL: {}}},
        {"allOf": [{"patternProperties": {EVIL: {}}}], "unevaluatedProperties": False},
        {"unevaluatedProperties": False, "allOf": [{"patternProperties": {EVIL: {}}}]},
        {"unevaluatedProperties": False, "patternProperties": {EVIL: {}}},
        {"unevaluatedProperties": False, "$ref": "#/$defs/x", "$defs": {"x": {"patternProperties": {EVIL: {}}}}},
    ],
)
def test_a_pattern_that_backtracks_without_end_is_stopped(
    schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_patterns, "PATTERN_SECONDS", 0.05)
    started = time.process_time()
    verdict = verify(json.dumps({LONG: LONG}), schema=schema)
    assert verdict.score == 0
    assert "was stopped" in verdict.note
    assert time.process_time() - started < 10


def test_the_patterns_of_one_completion_share_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_patterns, "PATTERN_SECONDS", 0.5)
    started = time.process_time()
    many = json.dumps([LONG] * 12)
    verdict = verify(many, schema={"items": {"anyOf": [{"pattern": EVIL}, {}]}})
    assert "was stopped" in verdict.note
    assert time.process_time() - started < 3  # the time of one, and not the six seconds of all


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({"patternProperties": {"^a": {"type": "integer"}}}, True),
        ({"patternProperties": {"^a": {"type": "string"}}}, False),
        ({"patternProperties": {"^a": {}}, "additionalProperties": False}, False),
        ({"patternProperties": {"^[ab]": {}}, "additionalProperties": False}, True),
        ({"patternProperties": {"^a": {}, "b$": {}}, "unevaluatedProperties": False}, True),
        ({"allOf": [{"patternProperties": {"^a": {}}}], "unevaluatedProperties": False}, False),
        ({"allOf": [{"patternProperties": {"^a|b": {}}}], "unevaluatedProperties": False}, True),
        ({"propertyNames": {"pattern": "^[ab]+$"}}, True),
        ({"propertyNames": {"pattern": "^[a]+$"}}, False),
    ],
)
def test_patterns_mean_what_they_mean_elsewhere(schema: dict[str, Any], fits: bool) -> None:
    value = {"ab": 1, "b": 2}
    assert Draft202012Validator(schema).is_valid(value) is fits
    assert verify(json.dumps(value), schema=schema).success is fits


VALUE = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 1.0, 0.0, -0.0, "", "1", "true", 10**20, 1e20]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(items=st.lists(VALUE, max_size=4), unique=st.booleans())
@example(items=[True, 1], unique=True)
@example(items=[[0], [False]], unique=True)
@example(items=[{"a": 1, "b": 0}, {"b": 0.0, "a": 1}], unique=True)
@example(items=[10**20, 1e20, "1"], unique=True)
def test_unique_means_what_it_means_elsewhere(items: list[Any], unique: bool) -> None:
    schema = {"uniqueItems": unique}
    assert verify(json.dumps(items), schema=schema).success is Draft202012Validator(schema).is_valid(items)


def test_thousands_of_objects_are_not_compared_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """5,000 of them would take a minute, so what would compare them is not there."""
    monkeypatch.delattr("jsonschema._utils.equal")
    many = json.dumps([{"a": number} for number in range(5000)], separators=(",", ":"))
    assert verify(many, schema={"uniqueItems": True}).success
    assert not verify(many[:-1] + ',{"a":7}]', schema={"uniqueItems": True}).success


def test_a_pattern_that_is_none_is_the_tasks_fault() -> None:
    for schema in ({"pattern": "("}, {"patternProperties": {"(": {}}}):
        with pytest.raises(JobError) as failure:
            verify(json.dumps({"a": 1} if "patternProperties" in schema else "a"), schema=schema)
        assert (failure.value.code, failure.value.param) == ("verifier_failed", "task")


def test_nothing_is_fetched_from_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        with pytest.raises(JobError) as failure:
            verify("1", schema={"$ref": address})
        with pytest.raises(TimeoutError):  # nobody has knocked
            server.accept()
    assert failure.value.code == "verifier_failed"
    assert address in failure.value.message


def test_a_reference_within_the_schema_works() -> None:
    schema = {"$defs": {"list": {"type": "array", "items": {"$ref": "#/$defs/list"}}}, "$ref": "#/$defs/list"}
    assert verify("[[], [[]]]", schema=schema).success
    assert not verify("[[], [1]]", schema=schema).success


def test_what_is_no_schema_is_the_tasks_fault() -> None:
    with pytest.raises(JobError) as failure:
        verify("1", schema={"type": "number of things"})
    assert (failure.value.code, failure.value.param) == ("verifier_failed", "task")


def test_a_schema_that_only_refers_to_itself_scores_nothing() -> None:
    assert "nested too deeply" in verify("1", schema={"$ref": "#"}).note
