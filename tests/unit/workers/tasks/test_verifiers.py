import time
from typing import Any

import pytest
from pydantic import TypeAdapter

from gapcast.contract.problems import Verifier
from workers.failures import JobError
from workers.tasks import Problem, Split, Verdict
from workers.tasks.verifiers import verifier


def verify(spec: dict[str, Any], completion: str, answer: str | None = None) -> Verdict:
    problem = Problem(id="p", split=Split.train, prompt="?", answer=answer)
    verdict = verifier(TypeAdapter(Verifier).validate_python(spec))(problem, completion)
    assert bool(verdict.failures) is (verdict.score < 1)
    return verdict


class TestExact:
    @pytest.mark.parametrize("completion", ["0758", " 0758\n"])
    def test_the_answer_scores_one(self, completion: str) -> None:
        assert verify({"kind": "exact"}, completion, "0758").success

    @pytest.mark.parametrize("completion", ["758", "0758.", "0759", "", "0758 0758"])
    def test_anything_else_scores_nothing_and_the_note_gives_nothing_away(self, completion: str) -> None:
        verdict = verify({"kind": "exact"}, completion, "0758")
        assert verdict.score == 0
        assert "0758" not in verdict.note
        assert (verdict.failures[0].expected, verdict.failures[0].got) == ("0758", completion)

    def test_a_long_completion_is_quoted_in_part(self) -> None:
        assert len(verify({"kind": "exact"}, "x" * 1_000_000, "y").failures[0].got) < 3000


class TestNumeric:
    @pytest.mark.parametrize(
        "completion",
        [
            "42",
            "Six times seven is 42.",
            r"So \boxed{42} of the 50 remain.",
            r"\boxed{7}, no: \boxed{x = 42\text{ m}^2} in 3 steps",
            r"\boxed{\frac{84}{2}}",
            r"\boxed{$42",
        ],
    )
    def test_the_number_in_the_last_box_counts_or_else_the_last_number(self, completion: str) -> None:
        assert verify({"kind": "numeric"}, completion, "42").success

    @pytest.mark.parametrize(
        ("completion", "got"), [("42 of 50", "50"), (r"\boxed{41} 42", "41"), (r"42 \boxed{-42}", "-42")]
    )
    def test_another_number_fails_and_is_shown(self, completion: str, got: str) -> None:
        verdict = verify({"kind": "numeric"}, completion, "42")
        assert (verdict.score, verdict.failures[0].got) == (0, got)
        assert "42" not in verdict.note

    def test_says_where_no_number_is(self) -> None:
        assert verify({"kind": "numeric"}, "forty-two", "42").note == "There is no number in the completion."
        assert verify({"kind": "numeric"}, r"42 \boxed{?}", "42").note == r"The last \boxed{} is not a number."

    @pytest.mark.parametrize(
        ("completion", "right"),
        [
            ("The answer is 42. Check: 84/2=42, 3/1=3", 1),
            ("**Final Answer**\n\n42\n\n(after 3 steps)", 1),
            ("Answer: 3 apples and 39 pears make 42 fruits.", 1),
            ("The answer is therefore 6*7 = 42", 1),
            (r"\boxed{41}. The final answer is 42. I hope it is correct.", 1),
            ("<answer>41</answer> 42", 0),
            (r"\boxed{41}, \boxed{42}", 0),
            (r"\boxed{42} and again \boxed{42}", 1),
            ("The answer is 41 or 42", 0),
            (r"The answer is $42\pi$", 0),
            (r"<answer>\boxed{42}</answer>", 1),
            ("正解は42です", 1),
        ],
    )
    def test_the_stated_answer_counts(self, completion: str, right: float) -> None:
        assert verify({"kind": "numeric"}, completion, "42").score == right

    def test_the_tolerance_is_the_tasks(self) -> None:
        assert not verify({"kind": "numeric"}, "3.14", "3.1416").success
        assert verify({"kind": "numeric", "relative_tolerance": 0.01}, "3.14", "3.1416").success


class TestChoice:
    @pytest.mark.parametrize(
        "completion",
        [
            "C",
            "c",
            "(C)",
            "C.",
            r"A is tempting, but \boxed{C}",
            r"\boxed{\text{C}}",
            r"\boxed{(C)}",
            "\\boxed{C) 12 m}",
            "The answer is C.",
            "**Answer:** C",
            "The answer is A. Wait, no: the answer is **(C)**, not B.",
            "Final answer: $C$",
            "The correct option is C",
            "The answer is option C",
            "A good idea is to look at (A) and (B).\nI take (C)",
            "I would rule out A and B.\nC) because it floats",
            "A good one is\nC",
            "Neither A nor B fits. The answer must be C",
            "A is wrong, (C) is right.",
            "答案：C",
            "I choose C, because B sinks.",
            r"$\boxed{\textbf{(C)}\ 12}$",
        ],
    )
    def test_finds_the_chosen_letter(self, completion: str) -> None:
        assert verify({"kind": "choice"}, completion, "C").success

    @pytest.mark.parametrize(
        "completion", ["A or C", "The answer is A or C.", "Either (A) or (C).", r"\boxed{A}, \boxed{C}"]
    )
    def test_what_is_unclear_scores_nothing_and_says_so(self, completion: str) -> None:
        verdict = verify({"kind": "choice"}, completion, "C")
        assert verdict.score == 0
        assert "unclear" in verdict.note
        assert verdict.failures[0].got == "A, C"

    @pytest.mark.parametrize("completion", ["", "I think that it floats.", "The answer is 12", r"C \boxed{12}", "G"])
    def test_says_where_no_letter_is_chosen(self, completion: str) -> None:
        assert verify({"kind": "choice"}, completion, "C").note == "No letter out of ABCDE is chosen."

    def test_another_letter_fails(self) -> None:
        verdict = verify({"kind": "choice", "letters": "ABCD"}, "The answer is D", "C")
        assert (verdict.score, verdict.note, verdict.failures[0].got) == (0, "The chosen letter is wrong.", "D")


class TestRegex:
    @pytest.mark.parametrize(
        ("options", "completion", "score"),
        [
            ({}, " ab12\n", 1),
            ({}, "so ab12", 0),
            ({}, "AB12", 0),
            ({"whole": False}, "so ab12 it is", 1),
            ({"ignore_case": True}, "AB12", 1),
        ],
    )
    def test_matches_the_whole_or_a_part(self, options: dict[str, Any], completion: str, score: float) -> None:
        verdict = verify({"kind": "regex"} | options, completion, r"ab\d+")
        assert verdict.score == score
        assert r"\d" not in verdict.note

    def test_a_pattern_that_backtracks_without_end_is_stopped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("workers.tasks.regex_answers.REGEX_SECONDS", 0.1)
        started = time.process_time()
        verdict = verify({"kind": "regex"}, "a" * 5000 + "bc", "(a|aa|a?)+c")
        assert time.process_time() - started < 10
        assert verdict.score == 0
        assert "took more than 0.1 s" in verdict.note

    def test_a_broken_pattern_is_the_tasks_fault(self) -> None:
        with pytest.raises(JobError) as failure:
            verify({"kind": "regex"}, "x", "(")
        assert failure.value.code == "verifier_failed"
        assert "Problem p" in failure.value.message


@pytest.mark.parametrize("kind", ["exact", "numeric", "choice", "regex"])
def test_a_problem_without_an_answer_is_the_tasks_fault(kind: str) -> None:
    with pytest.raises(JobError) as failure:
        verify({"kind": kind}, "x")
    assert (failure.value.code, failure.value.param) == ("verifier_failed", "task")


@pytest.mark.parametrize("kind", ["exact", "numeric", "choice", "json_schema"])
@pytest.mark.parametrize("part", ["A ", "(", "answer is ", "\\boxed{", "```json\n", '{"a":', "A\n", "[", '"'])
@pytest.mark.parametrize("size", [200_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_megabyte_of_anything_is_judged_in_a_moment(kind: str, part: str, size: int) -> None:
    spec = {"kind": kind} | ({"json_schema": {"type": "object"}} if kind == "json_schema" else {})
    answer = {"numeric": "1", "json_schema": None}.get(kind, "A")
    started = time.process_time()
    verify(spec, part * (size // len(part)), answer)
    assert time.process_time() - started < size / 100_000  # 30 times a laptop's; a quadratic search takes minutes
