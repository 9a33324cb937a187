"""Small inputs from the field that were scored wrongly once; each stands for a kind of fault."""

from fractions import Fraction
from typing import Any

import pytest
from pydantic import TypeAdapter

from gapcast.contract.numbers import parse_number
from gapcast.contract.problems import NumericVerifier, Verifier
from workers.tasks import Problem, Split
from workers.tasks.answers import answer_part
from workers.tasks.verifiers import verifier

SPECS: dict[str, dict[str, Any]] = {
    "numeric": {"kind": "numeric"},
    "choice": {"kind": "choice", "letters": "ABCD"},
    "json_schema": {"kind": "json_schema", "json_schema": {"type": "object"}},
}


@pytest.mark.parametrize(
    ("kind", "answer", "completion", "opened", "score"),
    [
        pytest.param(
            "choice",
            "C",
            "<reasoning>\nAt first sight the answer is B, but friction matters.\n</reasoning>\n<answer>\nC\n</answer>",
            False,
            1,
            id="F008",
        ),
        pytest.param(
            "choice",
            "C",
            "<reasoning>\nCompare (A), (B), (C) and (D).\n</reasoning>\n<answer>\nC\n</answer>",
            False,
            1,
            id="F010",
        ),
        pytest.param("numeric", "42", "<answer>42</answer>\n(took 3 steps)", False, 1, id="F011"),
        pytest.param("numeric", "12", "6*2=12\n#### 12\n\nThat is 1 dozen.", False, 1, id="F012"),
        pytest.param("numeric", "42", "We need 6*7. Maybe it is 42. But wait, let me check with", True, 0, id="F013"),
        pytest.param("choice", "B", "First guess: the answer is B. Hmm, but option", True, 0, id="F014"),
        pytest.param(
            "numeric", "42", "analysisWe get 6*7=42. Could it be 41? No.assistantfinal42", False, 1, id="F016"
        ),
        pytest.param("choice", "B", "analysisOption A seems wrong.assistantfinalB", False, 1, id="F018"),
        pytest.param("numeric", "42", "</think>I used a <think> block. \\boxed{42}", False, 1, id="F020"),
        pytest.param("numeric", "42", "42", False, 1, id="F021"),
        pytest.param("numeric", "42", "答案是42。", False, 1, id="F022"),
        pytest.param("numeric", "42", "答えは42です。", False, 1, id="F024"),
        pytest.param("choice", "C", "故选C。", False, 1, id="F026"),
        pytest.param("choice", "C", "정답은 C입니다", False, 1, id="F027"),
        pytest.param("numeric", "9500", "The total is 9 500.", False, 1, id="F031"),
        pytest.param("numeric", "9500", "\\boxed{9\\ 500}", False, 1, id="F032"),
        pytest.param("numeric", "150000", "1,50,000 rupees", False, 1, id="F033"),
        pytest.param("numeric", "2.74", "2,74 €", False, 1, id="F034"),
        pytest.param("numeric", "0.111", "0,111", False, 1, id="F035"),
        pytest.param("numeric", "3", "\\boxed{2\\sqrt{3}}", False, 0, id="F036"),
        pytest.param("numeric", "2", "\\boxed{\\frac{\\pi}{2}}", False, 0, id="F037"),
        pytest.param("numeric", "3", "\\boxed{2 \\text{ or } 3}", False, 0, id="F039"),
        pytest.param("numeric", "3", "\\boxed{x < 3}", False, 0, id="F040"),
        pytest.param("numeric", "5", "\\boxed{\\pm 5}", False, 0, id="F041"),
        pytest.param("numeric", "4", "\\boxed{3+4}", False, 0, id="F043"),
        pytest.param("numeric", "3", "\\boxed{1:3}", False, 0, id="F044"),
        pytest.param("numeric", "7", "\\boxed{3+4}", False, 1, id="F046"),
        pytest.param("numeric", "1999999", "2000000", False, 0, id="F047"),
        pytest.param("numeric", "1000000007", "1000000008", False, 0, id="F048"),
        pytest.param("numeric", "42", "Final Answer: 42 (see step 3)", False, 1, id="F049"),
        pytest.param("numeric", "42", "\\boxed{42 \\text{ (for } n=3)}", False, 1, id="F051"),
        pytest.param("numeric", "42", "\\boxed {42} in 3 steps", False, 1, id="F052"),
        pytest.param("numeric", "3", "\\boxed{- 3}", False, 0, id="F054"),
        pytest.param("numeric", "-3", "–3", False, 1, id="F055"),
        pytest.param("numeric", "-8", "\\boxed{(-2)^3}", False, 1, id="F056"),
        pytest.param("numeric", "-0.5", "\\frac{1}{-2}", False, 1, id="F057"),
        pytest.param("numeric", "0.5", "\\frac1{2}", False, 1, id="F058"),
        pytest.param("numeric", "0.5", "\\cfrac{1}{2}", False, 1, id="F059"),
        pytest.param("numeric", "1500", "1.5×10³", False, 1, id="F061"),
        pytest.param("numeric", "11", "\\boxed{x\\approx11}", False, 1, id="F063"),
        pytest.param("numeric", "1500000", "1.5 million", False, 1, id="F064"),
        pytest.param("numeric", "0.5", "50 percent", False, 1, id="F065"),
        pytest.param("choice", "A", "Answer: A, C", False, 0, id="F073"),
        pytest.param("choice", "A", "\\boxed{A \\text{ and } B}", False, 0, id="F075"),
        pytest.param("choice", "A", "Both A and B are correct", False, 0, id="F076"),
        pytest.param("choice", "B", "\\boxed{A}, \\boxed{B}", False, 0, id="F078"),
        pytest.param("choice", "C", "\\boxed{42}, so the answer is C", False, 1, id="F079"),
        pytest.param("choice", "C", "The answer is (c).", False, 1, id="F081"),
        pytest.param("choice", "B", "The correct answer is not A. It is B.", False, 1, id="F083"),
        pytest.param("choice", "B", "I don't think the answer is A; it's B", False, 1, id="F084"),
        pytest.param("choice", "C", "(A) no\n(B) no\n(C) yes\n(D) no\nSo C it is.", False, 1, id="F085"),
        pytest.param("json_schema", '{"a": 1}', '```\n{"a": 1}\n```', False, 1, id="F110"),
        pytest.param("json_schema", '{"a": 1}', '{"a": 1}\n\nThis is the JSON.', False, 1, id="F112"),
        pytest.param("json_schema", '{"a": 1}', '<answer>{"a": 1}</answer>', False, 1, id="F113"),
        pytest.param("json_schema", '{"a": 1}', '<tool_call>\n{"a": 1}\n</tool_call>', False, 1, id="F114"),
        pytest.param("json_schema", '{"a": 1}', '{"a": 2, "a": 1}', False, 0, id="F115"),
    ],
)
def test_completions(kind: str, answer: str, completion: str, opened: bool, score: float) -> None:
    problem = Problem(id="p", split=Split.train, prompt="?", answer=answer)
    verify = verifier(TypeAdapter(Verifier).validate_python(SPECS[kind]))
    assert verify(problem, answer_part(completion, opened=opened)).score == score


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        pytest.param("3,\\!250", "3250", id="F029"),
        pytest.param("\\$40", "40", id="F066"),
        pytest.param("$\\frac{2}{3}$", "2/3", id="F068"),
        pytest.param("90^\\circ", "90", id="F070"),
        pytest.param("\\boxed{5}", "5", id="F071"),
        pytest.param("5.", "5", id="F072"),
    ],
)
def test_answers_of_files(answer: str, value: str) -> None:
    assert NumericVerifier().answer_fault(answer) is None
    number = parse_number(answer)
    assert number is not None
    assert number.value == Fraction(value)
