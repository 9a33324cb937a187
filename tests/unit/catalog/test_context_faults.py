"""A fault in a context names the field as it was sent, whichever kind it is of."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.contexts import KINDS
from tests.unit.tasks.conftest import lines, problem, sender

EXTRA, NUL = "Extra inputs are not permitted", "text must not hold the NUL character, which databases cannot store"
NAMES = [f"'{kind}'" for kind in KINDS]
KNOWN = f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"
PLACEBOS = KNOWN.replace("'none', ", "").replace(", 'placebo'", "")
SOURCE = "level counts the task's graded hints; leave it null or set source to 'task'"
OF_HINTS: dict[str, Any] = {"of": "hints", "options": {"level": 0}}

FAULTS: list[tuple[Any, str, str]] = [
    ({"kind": "none", "options": {"corruption": {}}}, "options.corruption", EXTRA),
    ({"kind": "static", "options": {"text": "\x00"}}, "options.text", NUL),
    ({"kind": "feedback", "options": {"max_cases": 0}}, "options.max_cases", "greater than or equal to 1"),
    ({"kind": "hints", "options": {"level": 65}}, "options.level", "less than or equal to 64"),
    ({"kind": "hints", "options": {"source": "model", "level": 1}}, "options", SOURCE),
    ({"kind": "hints", "options": {"levle": 1}}, "options.levle", EXTRA),
    ({"kind": "hints", "options": {"hints": 1}}, "options.hints", EXTRA),
    ({"kind": "hints", "hints": 1}, "hints", EXTRA),
    ({"kind": "hints", "options": None}, "options", "should be a valid dictionary"),
    ({"kind": "peer_solution", "options": {"strip_thinking": "x"}}, "options.strip_thinking", "valid boolean"),
    ({"kind": "reference_solution", "options": {"corruption": {"rate": 2}}}, "options.corruption.rate", "equal to 1"),
    ({"kind": "all", "options": {"on_success": "x"}}, "options.on_success", "'feedback' or 'none'"),
    ({"kind": "column", "options": {"column": "x"}}, "options.column", "'privileged_context'"),
    ({"kind": "placebo", "options": {"of": "none", "options": {"level": 1}}}, "options.of", PLACEBOS),
    ({"kind": "placebo", "options": OF_HINTS}, "options.options.level", "greater than or equal to 1"),
    ({"kind": "placebo", "options": {"of": "hints", "options": {"max_cases": 2}}}, "options.options.max_cases", EXTRA),
    ({"kind": "placebo", "options": {"of": "hints", "options": 7}}, "options.options", "should be a valid dictionary"),
    ({"kind": "shuffled_feedback", "options": {"max_cases": 1.5}}, "options.max_cases", "valid integer"),
    ({"kind": "telepathy"}, "kind", f"Input should be {KNOWN}"),
    ({"kind": "Hint"}, "kind", f"Input should be {KNOWN}; did you mean 'hints'?"),
    ({"kind": None}, "kind", f"Input should be {KNOWN}"),
    ({"kind": []}, "kind", f"Input should be {KNOWN}"),
    ({"options": {}}, "kind", "Field required"),
    ("hints", "", "should be a valid dictionary"),
]


@pytest.mark.parametrize(("context", "param", "message"), FAULTS, ids=range(len(FAULTS)))
def test_one_fault(refusing: TestClient, context: Any, param: str, message: str) -> None:
    body = {"model": {"name": "lab/addition-qwen3-s"}, "task": "lab/addition", "context": context}
    answer = refusing.post("/v1/probes", json=body)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["param"] == f"context.{param}".rstrip(".")
    assert message in fault["message"]
    assert ("did you mean" in fault["message"]) == ("did you mean" in message)
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
