"""A fault in a context names the field as it was sent, whichever kind it is of."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.contexts import KINDS
from tests.unit.tasks.conftest import lines, problem, sender

NUL = "expected a text without the NUL character"
KNOWN = f"{', '.join([*KINDS][:-1])} or {[*KINDS][-1]}"
EXPECTED = f"expected {KNOWN}, got"
PLACEBOS = KNOWN.replace("none, ", "").replace(", placebo", "")
SOURCE = "belongs to the source 'task', and source is 'model'. Leave it out, or set source to 'task'."
OF_HINTS: dict[str, Any] = {"of": "hints", "options": {"level": 0}}

FAULTS: list[tuple[Any, str, str]] = [
    (
        {"kind": "none", "options": {"corruption": {}}},
        "options.corruption",
        "is not a field of context.options. It belongs to the kinds static, feedback, hints",
    ),
    ({"kind": "static", "options": {"text": "\x00"}}, "options.text", NUL),
    (
        {"kind": "feedback", "options": {"max_cases": 0}},
        "options.max_cases",
        "expected a whole number from 1 to 16, got 0.",
    ),
    (
        {"kind": "hints", "options": {"level": 65}},
        "options.level",
        "expected a whole number from 1 to 64, or null, got 65.",
    ),
    ({"kind": "hints", "options": {"source": "model", "level": 1}}, "options.level", SOURCE),
    (
        {"kind": "hints", "options": {"levle": 1}},
        "options.levle",
        "is not a field of context.options. Did you mean level?",
    ),
    ({"kind": "hints", "options": {"hints": 1}}, "options.hints", "Did you mean level?"),
    ({"kind": "hints", "hints": 1}, "hints", "is not a field of context. The fields are kind and options."),
    ({"kind": "hints", "options": None}, "options", "expected a mapping, got null."),
    (
        {"kind": "peer_solution", "options": {"strip_thinking": "x"}},
        "options.strip_thinking",
        "expected true or false, got 'x'.",
    ),
    (
        {"kind": "reference_solution", "options": {"corruption": {"rate": 2}}},
        "options.corruption.rate",
        "expected a number from 0 to 1, got 2. A share is expected: 0.02 is 2 %.",
    ),
    ({"kind": "all", "options": {"on_success": "x"}}, "options.on_success", "expected feedback or none, got 'x'."),
    ({"kind": "column", "options": {"column": "x"}}, "options.column", "expected privileged_context, got 'x'."),
    ({"kind": "placebo", "options": {"of": "none", "options": {"level": 1}}}, "options.of", PLACEBOS),
    (
        {"kind": "placebo", "options": OF_HINTS},
        "options.options.level",
        "expected a whole number from 1 to 64, or null, got 0.",
    ),
    (
        {"kind": "placebo", "options": {"of": "hints", "options": {"max_cases": 2}}},
        "options.options.max_cases",
        "The fields are corruption, source, level and extract_from.",
    ),
    ({"kind": "placebo", "options": {"of": "hints", "options": 7}}, "options.options", "expected a mapping, got 7."),
    (
        {"kind": "shuffled_feedback", "options": {"max_cases": 1.5}},
        "options.max_cases",
        "expected a whole number from 1 to 16, got 1.5.",
    ),
    ({"kind": "telepathy"}, "kind", f"{EXPECTED} 'telepathy'."),
    ({"kind": "Hint"}, "kind", f"{EXPECTED} 'Hint'. Did you mean 'hints'?"),
    ({"kind": None}, "kind", f"{EXPECTED} null."),
    ({"kind": []}, "kind", f"{EXPECTED} an empty list."),
    ({"options": {}}, "kind", f"{EXPECTED} nothing. Add it."),
    ("hints", "", "got 'hints'. Write {kind: hints}."),
]


@pytest.mark.parametrize(("context", "param", "message"), FAULTS, ids=range(len(FAULTS)))
def test_one_fault(refusing: TestClient, context: Any, param: str, message: str) -> None:
    body = {"model": {"name": "lab/addition-qwen3-s"}, "task": "lab/addition", "context": context}
    answer = refusing.post("/v1/probes", json=body)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["param"] == f"context.{param}".rstrip(".")
    assert message in fault["message"]
    assert ("Did you mean" in fault["message"]) == ("Did you mean" in message)
    if param == "kind" and "kind" in context:
        assert fault["value"] == (context["kind"] if context["kind"] != [] else "[]")


def test_every_fault_of_a_context_is_told(refusing: TestClient) -> None:
    options = {"max_cases": 17, "strip_thinking": 3, "corruption": {"rate": -1}}
    body = {"model": {"name": "x"}, "task": "y", "context": {"kind": "all", "options": options}}
    faults = refusing.post("/v1/probes", json=body).json()["errors"]
    wanted = {"max_cases", "strip_thinking", "corruption.rate"}
    assert {fault["param"] for fault in faults} == {f"context.options.{name}" for name in wanted}


def test_a_verifiers_faults_are_told_likewise(refusing: TestClient) -> None:
    options = '{"exact": 1, "relative_tolerance": 2}'
    answer = sender(refusing)(lines(problem()), verifier="numeric", options=options)
    assert [fault["param"] for fault in answer.json()["errors"]] == ["options.relative_tolerance", "options.exact"]
