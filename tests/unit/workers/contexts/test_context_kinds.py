from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.contexts.sums import TASK, build, context_of, material
from workers.contexts import Attempt, Material
from workers.failures import JobError
from workers.tasks import Case, Verdict


def shown(kind: str, own: Material, **options: object) -> str | None:
    """The context's text, or the reason why there is none."""
    built = build(context_of(kind, **options), own)
    assert (built.text is None) == (built.reason is not None)
    return built.text or built.reason


def test_none_has_a_reason() -> None:
    assert shown("none", material(3, "right")) == "kind_is_none"


def test_static_is_the_tasks_preamble_or_the_users_text() -> None:
    assert shown("static", material(3)) == TASK.preamble
    assert shown("static", material(3), text="Be {brief}.") == "Be {brief}."


class TestFeedback:
    def test_it_speaks_of_the_own_attempt(self) -> None:
        own = material(3, "right", "I say 8", "wrong", place=1)
        assert shown("feedback", own) == "Feedback: p3: wrong\n\nInput:\nWhat is 3 + 3?\nGot:\nI say 8"

    def test_without_an_attempt(self) -> None:
        assert shown("feedback", material(3)) == "no_attempt"

    def test_a_verifier_that_says_nothing(self) -> None:
        silent = replace(material(3), group=(Attempt("8", Verdict(0.0, "")),))
        assert shown("feedback", silent) == "no_feedback"
        case = replace(silent, group=(Attempt("8", Verdict(0.0, "", (Case(None, "6", "8"),))),))
        assert shown("feedback", case) == "Feedback: Got:\n8"

    def test_a_success_is_told_so_unless_it_is_to_get_none(self) -> None:
        assert shown("feedback", material(3, "right")) == "Feedback: p3: right"
        assert shown("feedback", material(3, "right"), on_success="none") == "no_feedback_on_success"
        assert "wrong" in str(shown("feedback", material(3, "wrong"), on_success="none"))


class TestHints:
    def test_as_many_as_asked_for(self) -> None:
        assert shown("hints", material(3), level=2) == "Hints: It is even (3). It lies above 3."
        assert shown("hints", material(3)) == "Hints: It is even (3). It lies above 3. Half of it is 3."

    def test_more_than_the_problem_has_are_refused(self) -> None:
        with pytest.raises(JobError) as failure:
            shown("hints", material(3), level=4)
        assert (failure.value.code, failure.value.param) == ("hint_level_too_high", "context.options.level")
        assert "p3" in failure.value.message

    def test_a_problem_without_any(self) -> None:
        assert shown("hints", material(3, hints=()), level=4) == "no_hints"

    def test_the_models_own(self) -> None:
        own = material(3, "right")
        assert shown("hints", own, source="model") == "no_hints"
        assert shown("hints", replace(own, hints="Double it."), source="model") == "Hints: Double it."


class TestPeerSolution:
    def test_it_is_the_first_other_success(self) -> None:
        own = material(3, "right", "wrong", "First: 6", "Second: 6")
        assert shown("peer_solution", own) == "Solution: First: 6"
        assert shown("peer_solution", replace(own, place=2)) == "Solution: It is 6"

    @pytest.mark.parametrize("texts", [(), ("right",), ("wrong", "wrong"), ("right", "wrong")])
    def test_none_where_no_other_has_solved_it(self, texts: tuple[str, ...]) -> None:
        assert shown("peer_solution", material(3, *texts)) == "no_success_in_group"

    def test_its_thinking_is_left_out_unless_wanted(self) -> None:
        own = material(3, "wrong", "<think>3 and 3</think>\n\nIt is 6")
        assert shown("peer_solution", own) == "Solution: It is 6"
        assert shown("peer_solution", own, strip_thinking=False) == "Solution: <think>3 and 3</think>\n\nIt is 6"

    def test_a_success_without_a_word_outside_its_thinking_shows_nothing(self) -> None:
        won = Verdict(1.0, "lenient")
        own = replace(material(3, "wrong"), group=(Attempt("5", won), Attempt("<think>6", won), Attempt("6!", won)))
        assert shown("peer_solution", own) == "Solution: 6!"

    @given(successes=st.lists(st.booleans(), min_size=1, max_size=8), data=st.data())
    def test_it_is_never_the_rollout_itself(self, successes: list[bool], data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(successes) - 1))
        group = tuple(Attempt(f"attempt {k}", Verdict(float(won), "")) for k, won in enumerate(successes))
        text = shown("peer_solution", replace(material(3), group=group, place=place))
        others = [k for k, won in enumerate(successes) if won and k != place]
        assert text == (f"Solution: attempt {others[0]}" if others else "no_success_in_group")


def test_reference_solution_and_column() -> None:
    assert shown("reference_solution", material(3)) == "Solution: Twice 3 is 6."
    assert shown("reference_solution", material(3, reference_solution=None)) == "no_reference_solution"
    assert shown("column", material(3)) == "A calculator shows 6."
    assert shown("column", material(3, privileged_context=None)) == "no_column_text"


class TestAll:
    HINTS = "Hints: It is even (3). It lies above 3. Half of it is 3."

    def test_a_peers_solution_comes_without_feedback_unless_asked_for(self) -> None:
        own = material(3, "I say 8", "right")
        assert shown("all", own) == f"Solution: It is 6\n\n{self.HINTS}"
        feedback = "Feedback: p3: wrong\n\nInput:\nWhat is 3 + 3?\nGot:\nI say 8"
        assert shown("all", own, feedback_with_solution=True) == f"Solution: It is 6\n\n{self.HINTS}\n\n{feedback}"

    def test_feedback_stands_in_for_a_solution(self) -> None:
        own = material(3, "I say 8", "wrong")
        assert shown("all", own) == f"{self.HINTS}\n\nFeedback: p3: wrong\n\nInput:\nWhat is 3 + 3?\nGot:\nI say 8"

    def test_feedbacks_own_options_hold(self) -> None:
        own = material(3, "right", "wrong", hints=())
        assert shown("all", own) == "Feedback: p3: right"
        assert shown("all", own, on_success="none") == "no_success_in_group"
        assert "Expected:\n6" in str(shown("all", material(3, "wrong"), show_expected=True))

    def test_nothing_to_show(self) -> None:
        assert shown("all", material(3, hints=())) == "no_success_in_group"
        assert shown("all", material(3)) == self.HINTS

    def test_thinking_is_stripped_here_too(self) -> None:
        own = material(3, "wrong", "<think>3 and 3</think>It is 6", hints=())
        assert shown("all", own) == "Solution: It is 6"
        assert shown("all", own, strip_thinking=False) == "Solution: <think>3 and 3</think>It is 6"


class TestFailingCases:
    CASES = tuple(Case(f"input {k}", f"expected {k}", f"got {k}") for k in range(5))

    def text(self, *cases: Case, **options: object) -> str:
        own = replace(material(3), group=(Attempt("code", Verdict(0.0, "2 of 7 passed", cases)),))
        return str(shown("feedback", own, **options)).removeprefix("Feedback: ")

    def test_one_case_without_its_expected_output_by_default(self) -> None:
        assert self.text(*self.CASES) == "2 of 7 passed\n\nInput:\ninput 0\nGot:\ngot 0"

    @given(count=st.integers(0, 5), most=st.integers(1, 16))
    def test_at_most_as_many_as_asked_for(self, count: int, most: int) -> None:
        assert self.text(*self.CASES[:count], max_cases=most).count("Got:") == min(count, most)

    @given(expected=st.text(max_size=50), most=st.integers(1, 16))
    def test_expected_outputs_are_shown_only_if_asked_for(self, expected: str, most: int) -> None:
        marked = f"<<{expected}>>"
        cases = [replace(case, expected=marked) for case in self.CASES]
        assert marked not in self.text(*cases, max_cases=most)
        assert self.text(*cases, max_cases=most, show_expected=True).count(marked) == min(5, most)

    def test_no_input_no_line(self) -> None:
        case = Case(None, "6", "8")
        assert self.text(case, show_expected=True) == "2 of 7 passed\n\nExpected:\n6\nGot:\n8"

    def test_what_the_note_has_named_is_not_repeated(self) -> None:
        own = replace(material(3), group=(Attempt("7", Verdict(0.0, "7 is wrong: _", (Case(None, "6", "7\n"),))),))
        assert shown("feedback", own) == "Feedback: 7 is wrong: _"
        assert shown("feedback", own, show_expected=True) == "Feedback: 7 is wrong: _\n\nExpected:\n6"
        tried = replace(own, group=(Attempt("7", Verdict(0.0, "7 is wrong: _", (Case("in", "6", "7"),))),))
        assert shown("feedback", tried) == "Feedback: 7 is wrong: _\n\nInput:\nin\nGot:\n7"

    def test_braces_and_other_scripts_stay_as_they_are(self) -> None:
        case = Case("{text} {got}", "{x}", "答え {text} 🙂")
        assert "Input:\n{text} {got}\nGot:\n答え {text} 🙂" in self.text(case)

    def test_a_long_input_says_how_much_is_left_out(self) -> None:
        whole, long = "y" * 2048, "a" * 1024 + "b" * 37 + "c" * 1024
        assert f"Input:\n{whole}\nGot" in self.text(Case(whole, "", "1"))
        text = self.text(Case(long, "", "1"))
        assert f"{'a' * 1024}\n[37 characters left out]\n{'c' * 1024}" in text
        assert "b" * 37 not in text
