"""The rows of public task files as problems, a function a layout; each raises FieldError about a column.

Formats: the data sets' own repositories (openai/grade-school-math, hendrycks/math, hendrycks/test, openai/human-eval,
google-research/mbpp, LiveCodeBench, hendrycks/apps, lasgroup/SDPO) and the documentation of verl and TRL.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gapcast.contract.base import FieldError, JsonObject
from gapcast.contract.faults import shown
from service.tasks.hidden_tests import hidden_tests

Row = Mapping[str, Any]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
STATED = "####"
"""before the final answer of a GSM8K solution"""
CALCULATOR = re.compile(r"<<[^<>]*>>")
"""GSM8K's calculator annotations, which no solution would have by itself"""


def _value(row: Row, *names: str) -> Any:  # noqa: ANN401
    """The first of these columns that has a value; the names of an inner object's fields are joined by dots."""
    for name in names:
        value: Any = row
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def _required(row: Row, *names: str) -> Any:  # noqa: ANN401
    value = _value(row, *names)
    if value is None:
        raise FieldError(names[0], f"expected a value in the column {' or '.join(names)}, got nothing. Add it.")
    return value


def _text(row: Row, *names: str) -> str:
    value = _required(row, *names)
    if not isinstance(value, str):
        raise FieldError(names[0], f"expected a text, got {shown(value)}.", value)
    return value


def _written(value: Any) -> str | None:  # noqa: ANN401
    """A text for any value: a number or a structure as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(row: Row, name: str) -> Any:  # noqa: ANN401
    value = _value(row, name)
    if not isinstance(value, str) or not value.strip():
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise FieldError(name, f"expected JSON, got a text that is not: {error}.", value) from None


def _fenced(code: str) -> str:
    return f"```python\n{code.rstrip()}\n```"


def _present(**fields: Any) -> JsonObject:  # noqa: ANN401
    return {name: value for name, value in fields.items() if value is not None}


def gsm8k(row: Row) -> JsonObject:
    """A question whose solution ends with `#### ` and a number."""
    solution = _text(row, "answer")
    steps, mark, answer = solution.rpartition(STATED)
    if not mark:
        raise FieldError("answer", f"expected a solution that ends with `{STATED}` and a number, got none.", solution)
    clean = CALCULATOR.sub("", steps)
    return _present(
        prompt=_text(row, "question"), answer=answer.strip(), reference_solution=f"{clean}{STATED} {answer.strip()}"
    )


def _boxed(solution: str) -> str | None:
    r"""What stands in the last `\boxed{}`."""
    start = max(solution.rfind("\\boxed{"), solution.rfind("\\fbox{"))
    if start < 0:
        return None
    inside = solution[solution.index("{", start) + 1 :]
    depth = 1
    for place, character in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return inside[:place]
    return None


def math(row: Row) -> JsonObject:
    r"""A problem whose solution ends with a \boxed{} answer."""
    solution = _value(row, "solution")
    answer = _written(_value(row, "answer"))
    if answer is None:
        answer = _boxed(_text(row, "solution"))
        if answer is None:
            raise FieldError("solution", r"expected a solution with a \boxed{} answer, got none. Add an `answer`.")
    return _present(
        prompt=_text(row, "problem"), answer=answer, reference_solution=solution, id=_value(row, "unique_id", "id")
    )


def mmlu(row: Row) -> JsonObject:
    """A question with choices, and the letter or the number (from 0) of the right one."""
    choices = _json(row, "choices") or _json(row, "options") or [row.get(letter) for letter in "ABCD"]
    if not isinstance(choices, Sequence) or not 2 <= len(choices) <= len(LETTERS) or None in choices:
        raise FieldError("choices", "expected the columns A, B, C and D, or a list `choices`, got no such.", choices)
    answer = _required(row, "answer")
    if isinstance(answer, str) and answer.strip().isdecimal():
        answer = int(answer)
    if isinstance(answer, int) and not isinstance(answer, bool):
        if not 0 <= answer < len(choices):
            raise FieldError("answer", f"expected the number of a choice from 0, got {answer}.", answer)
        answer = LETTERS[answer]
    options = "\n".join(f"{letter}. {_written(choice)}" for letter, choice in zip(LETTERS, choices, strict=False))
    ask = "Answer with the letter of the right choice."
    return _present(
        prompt=f"{_text(row, 'question').strip()}\n\n{options}\n\n{ask}", answer=answer, id=_value(row, "question_id")
    )


def humaneval(row: Row) -> JsonObject:
    """The beginning of a function, and a test with a function `check`."""
    start, name = _text(row, "prompt"), _text(row, "entry_point")
    solution = _value(row, "canonical_solution")
    return _present(
        id=_value(row, "task_id"),
        prompt=f"Complete this Python function. Answer with the whole program in one block.\n\n{_fenced(start)}",
        tests=[f"{_text(row, 'test').rstrip()}\n\ncheck({name})\n"],
        fn_name=name,
        reference_solution=None if solution is None else _fenced(start + solution),
    )


def mbpp(row: Row) -> JsonObject:
    """A short program and its `assert` statements."""
    before = [*(_value(row, "test_imports") or []), *filter(None, [_value(row, "test_setup_code")])]
    tests = _json(row, "test_list")
    if not isinstance(tests, Sequence) or not tests:
        raise FieldError("test_list", f"expected a list of `assert` statements, got {shown(tests)}.", tests)
    shown_tests = "\n".join(map(str, tests))
    code = _value(row, "code")
    return _present(
        id=_value(row, "task_id"),
        prompt=f"{_text(row, 'text', 'prompt')}\n\nThe code should satisfy these tests:\n\n{_fenced(shown_tests)}",
        tests=["\n".join([*map(str, before), str(test)]) for test in tests],
        reference_solution=None if code is None else _fenced(code.replace("\r\n", "\n")),
    )


def livecodebench(row: Row) -> JsonObject:
    """A contest's problem with public and hidden tests."""
    metadata = _json(row, "metadata") or {}
    name = metadata.get("func_name") if isinstance(metadata, Mapping) else None
    tests = [*(_json(row, "public_test_cases") or []), *hidden_tests(_value(row, "private_test_cases"))]
    prompt, starter = _text(row, "question_content"), _value(row, "starter_code")
    if starter:
        prompt = f"{prompt}\n\nUse this starter code:\n\n{_fenced(starter)}"
    else:
        prompt = f"{prompt}\n\nRead the input from standard input and print the answer."
    return _present(
        id=_value(row, "question_id"),
        prompt=f"{prompt}\n\nAnswer with one Python program in one block.",
        tests=tests or None,
        fn_name=name,
    )


def _joined(value: Any) -> str:  # noqa: ANN401
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def apps(row: Row) -> JsonObject:
    """A problem whose inputs and outputs are JSON."""
    cases, solutions = _json(row, "input_output") or {}, _json(row, "solutions") or []
    if not isinstance(cases, Mapping):
        raise FieldError("input_output", f"expected an object with inputs and outputs, got {shown(cases)}.", cases)
    name, starter = cases.get("fn_name"), _value(row, "starter_code")
    pairs = list(zip(cases.get("inputs") or [], cases.get("outputs") or [], strict=False))
    if name is None:
        tests = [{"input": _joined(given), "output": _joined(expected)} for given, expected in pairs]
    else:
        tests = [_call(given, expected) for given, expected in pairs]
    question = _text(row, "question", "prompt")
    if starter:
        question = f"{question}\n\nUse this starter code:\n\n{_fenced(starter)}"
    return _present(
        id=_value(row, "problem_id", "id"),
        prompt=f"{question}\n\nAnswer with one Python program in one block.",
        tests=tests or None,
        fn_name=name,
        reference_solution=_fenced(solutions[0]) if solutions else None,
    )


def _call(given: Any, expected: Any) -> JsonObject:  # noqa: ANN401
    """A call's test; APPS writes some results as a list of one, and its own harness accepts what is inside."""
    arguments = given if isinstance(given, list) else [given]
    result = expected[0] if isinstance(expected, list) and len(expected) == 1 else expected
    return {"input": "\n".join(map(json.dumps, arguments)), "output": json.dumps(result), "testtype": "functional"}


def verl(row: Row) -> JsonObject:
    """Messages with a ground truth for a reward function."""
    messages = _required(row, "prompt")
    return _present(
        id=_identity(_value(row, "data_source"), _value(row, "extra_info.index")),
        prompt=_chat(messages),
        answer=_written(_required(row, "reward_model.ground_truth")),
        reference_solution=_written(
            _value(row, "extra_info.reference_solution", "extra_info.solution", "extra_info.answer")
        ),
    )


def _identity(source: Any, index: Any) -> str | None:  # noqa: ANN401
    return None if index is None else f"{source}-{index}" if source is not None else str(index)


def _chat(prompt: Any) -> Any:  # noqa: ANN401
    """Messages with role and content alone; a text as it is."""
    if not isinstance(prompt, list):
        return prompt
    return [
        {name: message.get(name) for name in ("role", "content")} if isinstance(message, Mapping) else message
        for message in prompt
    ]


def _last_text(completion: Any) -> str | None:  # noqa: ANN401
    """The text of a completion, which may be messages."""
    if isinstance(completion, list) and completion and isinstance(completion[-1], Mapping):
        completion = completion[-1].get("content")
    return completion if isinstance(completion, str) else None


def trl(row: Row) -> JsonObject:
    """A prompt, or a conversation whose last message answers it."""
    prompt, completion = _value(row, "prompt"), _value(row, "completion")
    if prompt is None:
        messages = _required(row, "messages", "prompt")
        if not isinstance(messages, list) or len(messages) < 2:
            raise FieldError("messages", "expected a question and its answer, got fewer messages.", messages)
        prompt, completion = messages[:-1], messages[-1:]
    return _present(
        id=_value(row, "id"),
        prompt=_chat(prompt),
        answer=_written(_value(row, "solution", "answer", "ground_truth")),
        reference_solution=_last_text(completion),
    )


def sdft(row: Row) -> JsonObject:
    """A prompt and what the teacher is shown beside it."""
    shown_to_teacher = _value(row, "privileged_context", "golden_response")
    if isinstance(shown_to_teacher, list):
        shown_to_teacher = _last_text(shown_to_teacher) or _joined(shown_to_teacher)
    return _present(
        id=_value(row, "id"),
        prompt=_chat(_required(row, "prompt")),
        answer=_written(_value(row, "answer", "golden_answer")),
        privileged_context=shown_to_teacher,
    )


def sciknoweval(row: Row) -> JsonObject:
    """A question of several choices, as lasgroup/SDPO has it."""
    question, system = _text(row, "prompt"), _value(row, "system")
    before = [{"role": "system", "content": system}] if isinstance(system, str) and system.strip() else []
    return _present(
        id=_value(row, "idx"),
        prompt=[*before, {"role": "user", "content": question}],
        answer=_text(row, "answer"),
    )
