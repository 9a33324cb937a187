import pytest

from workers.failures import JobError
from workers.tasks import Split, Task, derive_seed, derive_unit, load_task
from workers.tasks.addition import AdditionTask, diagnose, merge, reveal
from workers.tasks.verifiers import exact


class TestExact:
    @pytest.mark.parametrize("completion", ["0758", " 0758\n"])
    def test_the_answer_scores_one(self, completion: str) -> None:
        assert exact(completion, "0758") == 1.0

    @pytest.mark.parametrize("completion", ["758", "0758.", "0759", "", "0758 0758"])
    def test_anything_else_scores_nothing(self, completion: str) -> None:
        assert exact(completion, "0758") == 0.0


class TestAddition:
    def test_every_answer_is_the_sum_of_its_prompt(self, task: Task) -> None:
        for split in Split:
            for problem in task.problems(split):
                left, right = problem.prompt.removesuffix("=").split("+")
                assert int(problem.answer) == int(left) + int(right)
                assert len(problem.answer) == 4
                assert task.score(problem, problem.reference_solution) == 1.0

    def test_no_sum_is_asked_twice(self, task: Task) -> None:
        prompts = [problem.prompt for split in Split for problem in task.problems(split)]
        assert len(prompts) == len(set(prompts)) == 512 + 256

    def test_a_second_task_has_the_same_problems(self, task: Task) -> None:
        again = AdditionTask()
        assert again.revision == task.revision
        assert list(again.problems(Split.train)) == list(task.problems(Split.train))

    def test_hints_reveal_one_more_right_digit_a_level(self, task: Task) -> None:
        for problem in task.problems(Split.train)[:50]:
            shown = [task.hint_text(problem, level) for level in range(1, task.hint_levels + 1)]
            assert [text.count("_") for text in shown] == [3, 2, 1, 0]
            assert all(c in ("_", d) for text in shown for c, d in zip(text, problem.answer, strict=True))
            assert shown[-1] == problem.answer

    def test_hints_differ_in_the_digit_they_begin_with(self, task: Task) -> None:
        first = {
            task.hint_text(problem, 1).translate(str.maketrans("0123456789", "x" * 10))
            for problem in task.problems(Split.train)
        }
        assert first == {"x___", "_x__", "__x_", "___x"}


class TestFeedback:
    def test_shows_the_right_digits_of_a_wrong_attempt_and_hides_the_others(self) -> None:
        assert diagnose("0758", "0748") == "0748 is wrong: 07_8"

    def test_says_that_a_right_attempt_is_right(self) -> None:
        assert diagnose("0758", "0758\n") == "0758 is right: 0758"

    @pytest.mark.parametrize("attempt", ["", "758", "07581", "07a8"])
    def test_tells_nothing_about_an_attempt_that_is_no_number_of_four_digits(self, attempt: str) -> None:
        text = diagnose("0758", attempt)
        assert text.endswith(": ____")
        assert "0758" not in text


class TestMasks:
    def test_reveal_and_merge_agree(self) -> None:
        assert reveal("1032", [0, 2]) == "1_3_"
        assert merge(["1___", "__3_"]) == "1_3_"


class TestRegistry:
    def test_an_unknown_task_is_named(self) -> None:
        with pytest.raises(JobError) as failure:
            load_task("lab/subtraction")
        assert (failure.value.code, failure.value.param) == ("task_not_found", "task")
        assert "lab/subtraction" in failure.value.message

    def test_another_revision_is_refused(self) -> None:
        with pytest.raises(JobError) as failure:
            load_task("lab/addition", "sha256:0")
        assert failure.value.code == "task_revision_mismatch"


class TestSeeds:
    def test_parts_do_not_run_together(self) -> None:
        assert derive_seed("a", "bc") != derive_seed("ab", "c")

    def test_units_are_uniform(self) -> None:
        draws = [derive_unit("u", i) for i in range(4000)]
        assert all(0 <= draw < 1 for draw in draws)
        assert sum(draws) / len(draws) == pytest.approx(0.5, abs=4 * (1 / 12 / 4000) ** 0.5)
