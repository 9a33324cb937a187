from dataclasses import replace

import pytest

from tests.unit.workers.contexts.sums import build, context_of, material, problem
from workers.contexts import Block, BuiltContext, prompt_shape, require_fit, student_prompt, teacher_prompt
from workers.engines import Prompt
from workers.failures import JobError

OWN = material(3, "I say 8", "right")
CHAT = (
    {"role": "system", "content": "Add up."},
    {"role": "user", "content": "What is 1 + 1?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "What is 3 + 3?"},
)


def prompt_for(kind: str, shape: str = "chat", **options: object) -> str:
    prompt = teacher_prompt(OWN.problem, build(context_of(kind, **options), OWN), shape)
    assert isinstance(prompt, str)
    return prompt


@pytest.mark.parametrize("shape", ["chat", "completion"])
def test_without_a_context_it_is_exactly_the_students(shape: str) -> None:
    for asked in (problem(3), problem(3, prompt=CHAT)):
        prompt: Prompt = teacher_prompt(asked, BuiltContext(reason="not_covered"), shape)
        assert prompt == asked.prompt == student_prompt(asked)


class TestCompletion:
    def test_the_question_comes_last(self) -> None:
        assert prompt_for("hints", "completion", level=1) == "Hints: It is even (3).\n\nWhat is 3 + 3?"
        assert prompt_for("static", "completion", text="Add.") == "Add.\n\nWhat is 3 + 3?"

    def test_a_chat_needs_a_chat_template(self) -> None:
        with pytest.raises(JobError) as failure:
            teacher_prompt(problem(3, prompt=CHAT), build(context_of("static"), OWN), "completion")
        assert failure.value.code == "no_chat_template"


class TestChat:
    def test_question_solution_hints_feedback_and_what_to_do(self) -> None:
        prompt = prompt_for("all", feedback_with_solution=True)
        parts = [
            "What is 3 + 3?",
            "## A correct solution\n\nIt is 6",
            "## Hints\n\nIt is even (3).",
            "## Feedback on an earlier attempt\n\np3: wrong",
            "## What to do\n\nNow answer the original question",
        ]
        places = [prompt.index(part) for part in parts]
        assert places == sorted(places)
        assert places[0] == 0

    @pytest.mark.parametrize("kind", ["feedback", "hints", "peer_solution", "reference_solution", "all", "column"])
    def test_the_model_must_still_write_its_own_solution(self, kind: str) -> None:
        assert "You must still write your own full solution" in prompt_for(kind)

    def test_a_preamble_comes_first_and_nothing_follows_the_question(self) -> None:
        assert prompt_for("static", text="You are {good}.") == "You are {good}.\n\nWhat is 3 + 3?"

    def test_the_last_message_of_the_user_is_extended(self) -> None:
        asked = problem(3, prompt=CHAT)
        built = build(context_of("reference_solution"), replace(OWN, problem=asked))
        prompt = teacher_prompt(asked, built, "chat")
        assert not isinstance(prompt, str)
        assert tuple(prompt[:3]) == CHAT[:3]
        assert prompt[3] == {"role": "user", "content": teacher_prompt(problem(3), built, "chat")}
        assert CHAT[3]["content"] == "What is 3 + 3?"

    def test_a_begun_answer_stays_last(self) -> None:
        asked = problem(3, prompt=(*CHAT, {"role": "assistant", "content": "It is"}))
        prompt = teacher_prompt(asked, build(context_of("column"), OWN), "chat")
        assert prompt[4] == {"role": "assistant", "content": "It is"}
        assert "A calculator shows 6." in prompt[3]["content"]

    def test_a_chat_that_asks_nothing_is_refused(self) -> None:
        with pytest.raises(JobError) as failure:
            teacher_prompt(problem(3, prompt=CHAT[:1]), build(context_of("static"), OWN), "chat")
        assert failure.value.code == "no_user_message"


@pytest.mark.parametrize("shape", ["chat", "completion"])
def test_values_are_never_templates(shape: str) -> None:
    odd = "{prompt} {context} {text} {{x}} ünïcödé 数 🙂 \\1 \x00"
    asked = problem(3, prompt=f"Q {odd}")
    built = BuiltContext((Block("peer_solution", f"A {odd}"),))
    prompt = teacher_prompt(asked, built, shape)
    assert prompt.count(f"Q {odd}") == prompt.count(f"A {odd}") == 1


@pytest.mark.parametrize(("has_template", "shape"), [(True, "chat"), (False, "completion")])
def test_the_shape_follows_the_model(has_template: bool, shape: str) -> None:
    class Model:
        has_chat_template = has_template

    assert prompt_shape(Model()) == shape


class TestFit:
    def test_the_last_token_that_fits_is_allowed(self) -> None:
        require_fit(problem(3), 240, 16, 256)

    def test_one_more_names_the_problem(self) -> None:
        with pytest.raises(JobError) as failure:
            require_fit(problem(3), 241, 16, 256)
        assert failure.value.code == "context_too_long"
        assert "p3" in failure.value.message
