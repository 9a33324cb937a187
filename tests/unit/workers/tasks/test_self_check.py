"""The self-check scores what must be right and what must be wrong, and says which problems do not hold."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gapcast.contract.catalog import SelfCheck
from gapcast.contract.problems import ProblemIn, TaskIn, canonical
from workers.failures import JobError
from workers.tasks import self_check
from workers.tasks.file_task import FileTask
from workers.tasks.self_check import check


def made(folder: Path, verifier: dict[str, Any], *rows: dict[str, Any]) -> FileTask:
    header = TaskIn.model_validate({"name": "mine", "verifier": verifier})
    problems = [ProblemIn.model_validate({"id": f"p{number}", "prompt": "x"} | row) for number, row in enumerate(rows)]
    (folder / "task.json").write_text(header.model_dump_json())
    (folder / "problems.jsonl").write_bytes(b"".join(canonical(one) + b"\n" for one in problems))
    return FileTask(folder)


def found(folder: Path, verifier: dict[str, Any], *rows: dict[str, Any]) -> SelfCheck:
    return check(made(folder, verifier, *rows), lambda done, problems: None)


GOOD: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    ({"kind": "exact"}, [{"answer": "a"}, {"answer": "b"}]),
    ({"kind": "numeric"}, [{"answer": "1"}, {"answer": "2", "reference_solution": "It is 1+1.\n#### 2"}]),
    ({"kind": "choice"}, [{"answer": "A"}, {"answer": "A"}, {"answer": "C"}]),
    ({"kind": "json_schema", "json_schema": {"type": "object"}}, [{"answer": '{"a": 1}'}, {"answer": '{"a": 2}'}]),
    ({"kind": "regex"}, [{"answer": "a+", "reference_solution": "aa"}, {"answer": "b", "reference_solution": "b"}]),
]


@pytest.mark.parametrize(("verifier", "rows"), GOOD, ids=[one[0]["kind"] for one in GOOD])
def test_a_task_that_scores_as_it_must(tmp_path: Path, verifier: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    check = found(tmp_path, verifier, *rows)
    assert (check.share, check.checked, check.problems) == (1.0, len(rows), len(rows))
    assert (check.without_reference, check.faults) == (0, [])


WRONG: list[tuple[dict[str, Any], list[dict[str, Any]], str]] = [
    ({"kind": "exact"}, [{"answer": "a", "reference_solution": "The answer is a."}], "reference"),
    ({"kind": "regex", "whole": False}, [{"answer": ".*"}, {"answer": "x"}], "empty"),
    ({"kind": "regex", "whole": False}, [{"answer": "no way"}, {"answer": "x"}], "silly"),
    (
        {"kind": "regex", "whole": False},
        [{"answer": "[ab]", "reference_solution": "a"}, {"answer": "b", "reference_solution": "b"}],
        "other",
    ),
    ({"kind": "numeric", "relative_tolerance": 1}, [{"answer": "2"}, {"answer": "1"}], "other"),
]


@pytest.mark.parametrize(("verifier", "rows", "completion"), WRONG)
def test_a_completion_that_scores_what_it_must_not(
    tmp_path: Path, verifier: dict[str, Any], rows: list[dict[str, Any]], completion: str
) -> None:
    check = found(tmp_path, verifier, *rows)
    fault = next(fault for fault in check.faults if fault.completion == completion)
    assert "p0" in fault.first
    assert check.share == 1 - len({one for fault in check.faults for one in fault.first}) / len(rows)


def test_another_problem_with_the_same_answer_is_no_wrong_answer(tmp_path: Path) -> None:
    check = found(tmp_path, {"kind": "numeric"}, {"answer": "1"}, {"answer": "1"})
    assert (check.share, check.faults) == (1.0, [])


def test_problems_of_which_no_right_completion_is_known_are_counted(tmp_path: Path) -> None:
    check = found(tmp_path, {"kind": "regex"}, {"answer": "a"}, {"answer": "b", "reference_solution": "b"})
    assert (check.share, check.without_reference) == (1.0, 1)


def test_python_is_run_in_the_sandbox(tmp_path: Path) -> None:
    right = "```python\ndef f(x):\n    return 2 * x\n```"
    check = found(
        tmp_path,
        {"kind": "python_tests"},
        {"tests": ["assert f(1) == 2"], "reference_solution": right},
        {"tests": ["assert f(2) == 5"], "reference_solution": right},
        {"tests": ["try:\n    f(1)\nexcept NameError:\n    pass\nassert True"], "reference_solution": right},
        {"tests": ["assert g(1) == 2"]},
    )
    assert (check.share, check.without_reference) == (0.5, 1)
    assert {(fault.completion, *fault.first) for fault in check.faults} >= {("reference", "p1"), ("silly", "p2")}


def test_a_test_that_cannot_run_is_a_fault_of_its_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = made(tmp_path, {"kind": "exact"}, {"answer": "a"}, {"answer": "b"})
    verify, code = task.verify, "test_invalid"

    def failing(problem: Any, completion: str) -> Any:
        if problem.id == "p0":
            raise JobError(code, "A test of the task does not compile.", "task")
        return verify(problem, completion)

    monkeypatch.setattr(task, "verify", failing)
    seen: list[tuple[int, int]] = []
    found = check(task, lambda done, problems: seen.append((done, problems)))
    assert (found.share, found.faults[0].first) == (0.5, ["p0"])
    assert "does not compile" in found.faults[0].note
    assert seen == [(1, 2), (2, 2)]
    code = "sandbox_unavailable"
    with pytest.raises(JobError, match="does not compile"):
        check(task, lambda done, problems: None)


@pytest.mark.parametrize("most", [1, 3, 7, 10])
def test_of_many_slow_problems_some_are_checked_evenly_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    task = made(tmp_path, {"kind": "exact"}, *({"answer": str(number)} for number in range(10)))
    asked = []
    verify = task.verify
    monkeypatch.setattr(
        task, "verify", lambda problem, text: asked.append(int(problem.id[1:])) or verify(problem, text)
    )
    monkeypatch.setattr(FileTask, "slow", True)
    monkeypatch.setattr(self_check, "MOST_SLOW", most)
    found = check(task, lambda done, problems: None)
    places = sorted(set(asked))
    assert (found.checked, found.problems, len(places)) == (most, 10, most)
    gaps = [b - a for a, b in pairwise(places)]
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.slow
def test_all_that_comes_with_gapcast_holds() -> None:
    data = Path(self_check.__file__).parent / "data"
    for name in ("word-problems", "functions"):
        found = check(FileTask(data / name), lambda done, problems: None)
        assert (found.share, found.faults) == (1.0, []), json.dumps(found.model_dump())
