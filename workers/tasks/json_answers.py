"""The verifier `json_schema`: a completion that is JSON, fits a schema, and equals the answer where there is one."""

from typing import Any

import regex
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from gapcast.contract.problems import JsonSchemaVerifier, parse_json
from workers.failures import JobError
from workers.tasks.answers import json_text
from workers.tasks.json_patterns import LimitedValidator, PatternTimeout, pattern_time
from workers.tasks.protocol import Problem, Verdict, wrong

MOST_JSON = 65_536
"""characters of JSON that are checked: ten thousand values take the usual keywords a second or two, the worst of them
(`unevaluatedItems` beside `contains`) some ten"""
MOST_NOTE = 300
"""characters of a violation, which quotes the value that is wrong"""


class JsonAnswers:
    """Verifies completions of one task; `Verify` in `workers.tasks.verifiers`."""

    def __init__(self, spec: JsonSchemaVerifier) -> None:
        try:
            Draft202012Validator.check_schema(spec.json_schema)
        except (SchemaError, RecursionError) as error:
            raise JobError(
                "verifier_failed", f"The task's json_schema is not a JSON Schema: {error}"[:500], "task"
            ) from error
        # a registry of its own retrieves nothing: the default one would fetch a remote `$ref` from the network
        self._validator = LimitedValidator(spec.json_schema, registry=Registry())

    def __call__(self, problem: Problem, completion: str) -> Verdict:
        """1 where the JSON fits the schema and equals the answer, else 0 and the first violation as the note."""
        text = json_text(completion)
        expected = "JSON that fits the schema" if problem.answer is None else problem.answer
        fault = self._fault(problem, text)
        if fault is None:
            return Verdict(1.0, "The JSON is right.", read=text)
        return wrong(fault, expected, text, text or None)

    def _fault(self, problem: Problem, text: str) -> str | None:
        if len(text) > MOST_JSON:
            return f"The JSON is longer than {MOST_JSON:,} characters and was not checked."
        try:
            value = parse_json(text)
        except ValueError as error:
            return f"There is no JSON: {error}"
        except RecursionError:
            return "The JSON is nested too deeply to be checked."
        try:
            with pattern_time():
                violation = next(self._validator.iter_errors(value), None)
            if violation is not None:
                return _describe(violation)
            if problem.answer is not None and not _same(value, parse_json(problem.answer)):
                return "The JSON fits the schema but is not the expected one."
        except RecursionError:
            return "The JSON is nested too deeply to be checked."
        except PatternTimeout as error:
            return f"The JSON was not checked: {error}."
        except regex.error as error:
            raise JobError(
                "verifier_failed", f"A pattern of the task's json_schema is not a regular expression: {error}", "task"
            ) from error
        except Unresolvable as error:
            raise JobError(
                "verifier_failed", f"The task's json_schema has a $ref out of itself: {error}", "task"
            ) from error
        return None


def _describe(violation: ValidationError) -> str:
    # jsonschema's own words for these two would show what is right
    if violation.validator in {"const", "enum"}:
        return f"{violation.json_path}: the value is not one that the schema allows."[-MOST_NOTE:]
    message = violation.message if len(violation.message) <= MOST_NOTE else violation.message[:MOST_NOTE] + " ..."
    return f"{violation.json_path}: {message}"


def _same(value: Any, answer: Any) -> bool:  # noqa: ANN401
    """Equality as JSON Schema has it: 1 is 1.0, and true is not 1."""
    return bool(Draft202012Validator({"const": answer}).is_valid(value))
