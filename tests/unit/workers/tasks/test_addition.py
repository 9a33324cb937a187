import pytest

from workers.tasks import Split, Task
from workers.tasks.addition import AdditionTask, merge
from workers.tasks.lab import diagnose, reveal


class TestAddition:
    def test_every_answer_is_the_sum_of_its_prompt(self, task: Task) -> None:
        for split in Split:
            for problem in task.problems(split):
                left, right = problem.text.removesuffix("=").split("+")
                assert int(problem.answer) == int(left) + int(right)
                assert len(problem.answer) == 4
                assert task.verify(problem, problem.reference_solution).success

    def test_no_sum_is_asked_twice(self, task: Task) -> None:
        prompts = [problem.text for split in Split for problem in task.problems(split)]
        assert len(prompts) == len(set(prompts)) == 512 + 256

    def test_the_revision_is_the_one_that_models_and_observations_refer_to(self) -> None:
        """Frozen: the lab's models are pre-trained for it, and every stored observation names it."""
        assert AdditionTask().revision == "sha256:876b8ef2f3902026904d5515bb4bb80d7f22e31a496fbb9af2704056d9281fa1"

    def test_a_second_task_has_the_same_problems(self, task: Task) -> None:
        assert list(AdditionTask().problems(Split.train)) == list(task.problems(Split.train))

    def test_hints_reveal_one_more_right_digit_a_level(self, task: Task) -> None:
        for problem in task.problems(Split.train)[:50]:
            shown = [task.hint_text(problem, level) for level in (1, 2, 3, 4)]
            assert [text.count("_") for text in shown] == [3, 2, 1, 0]
            assert all(c in ("_", d) for text in shown for c, d in zip(text, problem.answer, strict=True))
            assert shown[-1] == problem.answer

    def test_hints_differ_in_the_digit_they_begin_with(self, task: Task) -> None:
        first = {
            task.hint_text(problem, 1).translate(str.maketrans("0123456789", "x" * 10))
            for problem in task.problems(Split.train)
        }
        assert first == {"x___", "_x__", "__x_", "___x"}


class TestVerify:
    def test_a_wrong_attempt_scores_nothing_and_is_told_which_digits_are_right(self, task: Task) -> None:
        problem = task.problems(Split.train)[0]
        attempt = f"{(int(problem.answer) + 1) % 10000:04d}"
        verdict = task.verify(problem, f"{attempt}\n")
        assert (verdict.score, verdict.note) == (0.0, diagnose(problem.answer, attempt))
        assert [(case.expected, case.got) for case in verdict.failures] == [(problem.answer, f"{attempt}\n")]

    def test_shows_the_right_digits_of_a_wrong_attempt_and_hides_the_others(self) -> None:
        assert diagnose("0758", "0748") == "0748 is wrong: 07_8"

    def test_says_that_a_right_attempt_is_right(self) -> None:
        assert diagnose("0758", "0758\n") == "0758 is right: 0758"

    @pytest.mark.parametrize("attempt", ["", "758", "07581", "07a8"])
    def test_tells_nothing_about_an_attempt_that_is_no_number_of_four_digits(self, attempt: str) -> None:
        text = diagnose("0758", attempt)
        assert text.endswith(": ____")
        assert "0758" not in text

    def test_masks_reveal_and_merge_agree(self) -> None:
        assert reveal("1032", [0, 2]) == "1_3_"
        assert merge(["1___", "__3_"]) == "1_3_"
