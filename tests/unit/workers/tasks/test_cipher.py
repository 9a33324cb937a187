from collections import defaultdict

import pytest

from workers.tasks import Split, Task, load_task
from workers.tasks.cipher import CipherTask

LEFT = (7, 4, 2, 1)
"""Candidates that each hint level leaves."""


@pytest.fixture(scope="module")
def cipher() -> Task:
    return load_task("lab/cipher")


class TestProblems:
    def test_an_operator_shifts_every_digit_of_every_problem_by_the_same_amount(self, cipher: Task) -> None:
        shifts = defaultdict(set)
        for split in Split:
            for problem in cipher.problems(split):
                operator, digits = problem.text[0], problem.text[1:].removesuffix("=")
                shift, *answered = map(int, problem.answer)
                assert answered == [(int(digit) + shift) % 10 for digit in digits]
                assert len(answered) == 3
                shifts[operator].add(shift)
        assert shifts == {"A": {7}, "B": {4}, "C": {9}, "D": {1}, "E": {6}, "F": {2}}

    def test_no_problem_is_asked_twice_and_both_splits_have_every_operator(self, cipher: Task) -> None:
        prompts = {split: [problem.text for problem in cipher.problems(split)] for split in Split}
        assert [len(of_split) for of_split in prompts.values()] == [512, 256]
        assert len({*prompts[Split.train], *prompts[Split.held_out]}) == 512 + 256
        assert all({text[0] for text in of_split} == set("ABCDEF") for of_split in prompts.values())

    def test_the_revision_is_the_one_that_models_and_observations_refer_to(self) -> None:
        """Frozen: the lab's models are pre-trained for it, and every stored observation names it."""
        assert CipherTask().revision == "sha256:b2f153409aa72f1b334c3ea009fbd5dd08eafaa33e0030465465baf9493b389d"


class TestHints:
    def test_each_level_leaves_fewer_candidates_and_always_the_shift(self, cipher: Task) -> None:
        for problem in cipher.problems(Split.train):
            left = [set(cipher.hint_text(problem, level)) - {"_"} for level in (1, 2, 3, 4)]
            assert [len(candidates) for candidates in left] == list(LEFT)
            assert left[0] > left[1] > left[2] > left[3] == {problem.answer[0]}

    def test_a_candidate_always_stands_in_its_own_place(self, cipher: Task) -> None:
        for problem in cipher.problems(Split.held_out):
            for level in (1, 2, 3, 4):
                text = cipher.hint_text(problem, level)
                assert all(character in ("_", str(place)) for place, character in enumerate(text))
                assert len(text) == 10

    def test_problems_of_one_operator_rule_out_different_shifts(self, cipher: Task) -> None:
        """Else a hint would tell every problem of the operator the same, and no number of them the shift."""
        common: dict[str, set[str]] = {}
        for problem in cipher.problems(Split.train):
            candidates = set(cipher.hint_text(problem, 1)) - {"_"}
            common[problem.text[0]] = common.get(problem.text[0], candidates) & candidates
        assert common == {"A": {"7"}, "B": {"4"}, "C": {"9"}, "D": {"1"}, "E": {"6"}, "F": {"2"}}


class TestVerify:
    def test_the_reference_solution_is_right(self, cipher: Task) -> None:
        for split in Split:
            for problem in cipher.problems(split):
                assert cipher.verify(problem, f" {problem.reference_solution}\n").success

    def test_another_shift_computed_rightly_is_wrong_and_no_digit_of_it_is_shown(self, cipher: Task) -> None:
        problem = cipher.problems(Split.train)[0]
        attempt = "".join(str((int(digit) + 1) % 10) for digit in problem.answer)
        verdict = cipher.verify(problem, attempt)
        assert (verdict.score, verdict.note) == (0.0, f"{attempt} is wrong: ____")
        assert [(case.expected, case.got) for case in verdict.failures] == [(problem.answer, attempt)]

    def test_the_shift_alone_is_no_answer(self, cipher: Task) -> None:
        problem = cipher.problems(Split.train)[0]
        assert cipher.verify(problem, problem.answer[0]).note == "not a number of 4 digits: ____"
