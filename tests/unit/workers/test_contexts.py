import pytest

from service.catalog.contexts import Context, ContextKind
from workers.contexts import build_context, require_fit, teacher_prompt
from workers.contexts.templates import BLOCKS, fill
from workers.failures import JobError
from workers.tasks import Problem, Split, Task


def context_of(kind: str, **options: object) -> Context:
    return Context(kind=ContextKind(kind), options=options)


@pytest.fixture
def problem(task: Task) -> Problem:
    return task.problems(Split.train)[3]


class TestKinds:
    def build(self, task: Task, problem: Problem, context: Context, attempt: str | None = "0000") -> str | None:
        return build_context(context, task, problem, seed=1, draw="a", attempt=attempt).text

    def test_none_has_no_text_but_a_reason(self, task: Task, problem: Problem) -> None:
        built = build_context(context_of("none"), task, problem, seed=1, draw="a")
        assert (built.text, built.reason) == (None, "kind_is_none")
        assert teacher_prompt(problem, built) == problem.prompt

    def test_static_is_the_tasks_preamble_or_the_users_text(self, task: Task, problem: Problem) -> None:
        assert self.build(task, problem, context_of("static")) == task.preamble
        assert self.build(task, problem, context_of("static", text="Be {brief}.")) == "Be {brief}."

    def test_feedback_speaks_of_the_attempt(self, task: Task, problem: Problem) -> None:
        text = self.build(task, problem, context_of("feedback"), attempt="1234")
        assert text == f"Feedback: {task.feedback(problem, '1234')}"

    def test_feedback_without_an_attempt_is_missing_with_a_reason(self, task: Task, problem: Problem) -> None:
        assert build_context(context_of("feedback"), task, problem, seed=1, draw="a").reason == "no_attempt"

    def test_hints_show_as_many_as_asked_for(self, task: Task, problem: Problem) -> None:
        assert self.build(task, problem, context_of("hints", level=2)) == f"Hints: {task.hint_text(problem, 2)}"
        assert self.build(task, problem, context_of("hints")) == f"Hints: {problem.answer}"

    def test_more_hints_than_the_task_has_are_refused(self, task: Task, problem: Problem) -> None:
        with pytest.raises(JobError) as failure:
            self.build(task, problem, context_of("hints", level=5))
        assert (failure.value.code, failure.value.param) == ("hint_level_too_high", "context.options.level")

    def test_reference_solution(self, task: Task, problem: Problem) -> None:
        assert self.build(task, problem, context_of("reference_solution")) == f"Solution: {problem.answer}"

    def test_placebo_looks_the_same_and_is_another_problems(self, task: Task) -> None:
        answers = {other.answer for other in task.problems(Split.train)}
        for problem in task.problems(Split.train)[:100]:
            text = self.build(task, problem, context_of("placebo"))
            assert text is not None
            assert text.removeprefix("Solution: ") in answers - {problem.answer}

    def test_the_question_comes_last(self, task: Task, problem: Problem) -> None:
        built = build_context(context_of("hints", level=1), task, problem, seed=1, draw="a")
        assert teacher_prompt(problem, built) == f"{built.text}\n\n{problem.prompt}"


class TestCorruption:
    @pytest.mark.parametrize("coverage", [0.25, 0.8])
    def test_coverage_is_a_share_of_problems_whatever_the_rollout(self, task: Task, coverage: float) -> None:
        context = context_of("reference_solution", corruption={"coverage": coverage})
        problems = task.problems(Split.train)
        draws = [[build_context(context, task, p, seed=5, draw=d).reason for p in problems] for d in ("a", "b")]
        assert draws[0] == draws[1]
        share = draws[0].count(None) / len(problems)
        assert share == pytest.approx(coverage, abs=4 * (coverage * (1 - coverage) / len(problems)) ** 0.5)
        assert set(draws[0]) == {None, "not_covered"}

    def test_another_seed_covers_other_problems(self, task: Task) -> None:
        context = context_of("reference_solution", corruption={"coverage": 0.5})
        covered = [
            [build_context(context, task, p, seed=s, draw="a").text is None for p in task.problems(Split.train)]
            for s in (1, 2)
        ]
        assert covered[0] != covered[1]

    @pytest.mark.parametrize("kind", ["reference_solution", "hints"])
    def test_rate_is_a_share_of_contexts_and_drawn_anew_for_every_rollout(self, task: Task, kind: str) -> None:
        context = context_of(kind, corruption={"rate": 0.3})
        problems = task.problems(Split.train)
        wrong = [
            [
                build_context(context, task, p, seed=5, draw=d).text
                != f"{BLOCKS[ContextKind(kind)].split('{')[0]}{p.answer}"
                for p in problems
            ]
            for d in ("a", "b")
        ]
        assert wrong[0] != wrong[1]
        share = (sum(wrong[0]) + sum(wrong[1])) / (2 * len(problems))
        assert share == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / (2 * len(problems))) ** 0.5)

    def test_wrong_feedback_judges_the_attempt_by_another_problem(self, task: Task, problem: Problem) -> None:
        context = context_of("feedback", corruption={"rate": 1.0})
        texts = {
            build_context(context, task, problem, seed=1, draw=str(i), attempt=problem.answer).text for i in range(9)
        }
        assert all(text is not None and text.startswith(f"Feedback: {problem.answer} is wrong") for text in texts)

    def test_a_wrong_static_text_is_the_same_words_in_disorder(self, task: Task, problem: Problem) -> None:
        text = "one two three four five six seven eight"
        built = build_context(
            context_of("static", text=text, corruption={"rate": 1.0}), task, problem, seed=1, draw="a"
        )
        assert built.text is not None
        assert built.text != text
        assert sorted(built.text.split()) == sorted(text.split())


class TestTemplates:
    def test_a_values_own_braces_are_not_filled(self) -> None:
        assert fill("{a}-{b}", a="{b}", b="x") == "{b}-x"

    def test_a_missing_value_is_an_error(self) -> None:
        with pytest.raises(KeyError):
            fill("{a}", b="x")

    def test_every_kind_with_a_text_has_a_template(self) -> None:
        assert set(BLOCKS) == set(ContextKind) - {ContextKind.none}


class TestFit:
    def test_the_last_token_that_fits_is_allowed(self, problem: Problem) -> None:
        require_fit(problem, 240, 16, 256)

    def test_one_more_names_the_problem(self, problem: Problem) -> None:
        with pytest.raises(JobError) as failure:
            require_fit(problem, 241, 16, 256)
        assert failure.value.code == "context_too_long"
        assert problem.id in failure.value.message
