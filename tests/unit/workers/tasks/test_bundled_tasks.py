"""What ships: the two tasks' folders, the catalogue's entries for them, and that every solution is judged rightly."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gapcast.contract.problems import ProblemIn, canonical
from workers.tasks import Problem, Split
from workers.tasks.file_task import PROBLEMS, FileTask
from workers.tasks.registry import BUNDLED
from workers.tasks.sandbox import check

ROOT = Path(__file__).parents[4]
CATALOG = ROOT / "service" / "catalog" / "bundled_tasks.json"
WRONG = {
    entry["id"]: entry["completion"]
    for entry in map(json.loads, Path(__file__).with_name("wrong_functions.jsonl").read_text().splitlines())
}


@cache
def load(name: str) -> FileTask:
    """The folder itself: `load_task` refuses a task that runs code where it cannot be run."""
    return FileTask(BUNDLED[name])


def every(task: FileTask) -> list[Problem]:
    return [problem for split in Split for problem in task.problems(split)]


def entry(task: FileTask) -> dict[str, Any]:
    return {
        "name": task.name,
        "source": "gapcast",
        "verifier": task.verifier,
        "train_problems": len(task.problems(Split.train)),
        "held_out_problems": len(task.problems(Split.held_out)),
        "max_tokens": task.max_tokens,
        "hint_levels": task.hint_levels,
        "preamble": task.preamble,
        "revision": task.revision,
    }


def test_the_catalogue_says_what_the_folders_hold() -> None:
    assert json.loads(CATALOG.read_text()) == {"tasks": [entry(load(name)) for name in BUNDLED]}


@pytest.mark.parametrize("name", BUNDLED)
class TestFolder:
    def test_is_called_as_the_registry_calls_it(self, name: str) -> None:
        assert load(name).name == name

    def test_has_some_hundred_problems_and_every_fifth_held_out(self, name: str) -> None:
        task = load(name)
        assert 80 <= len(task.problems(Split.train)) <= 100
        assert len(task.problems(Split.held_out)) == 24

    def test_every_problem_is_there_once(self, name: str) -> None:
        problems = every(load(name))
        assert len({problem.id for problem in problems}) == len(problems)
        assert len({problem.text for problem in problems}) == len(problems)

    def test_every_problem_has_a_solution_and_as_many_hints_as_all_others(self, name: str) -> None:
        """So that every level up to the catalogue's can be asked for."""
        task = load(name)
        for problem in every(task):
            assert problem.reference_solution
            assert len(problem.hints) == task.hint_levels >= 2, problem.id

    def test_lines_are_canonical(self, name: str) -> None:
        for line in (BUNDLED[name] / PROBLEMS).read_bytes().rstrip(b"\n").split(b"\n"):
            assert canonical(ProblemIn.model_validate_json(line)) == line


class TestFunctions:
    def test_every_problem_has_five_tests_or_more(self) -> None:
        kinds = set()
        for problem in every(load("gapcast/functions")):
            assert len(problem.tests) >= 5, problem.id
            assert len({json.dumps(test) for test in problem.tests}) == len(problem.tests), problem.id
            kinds |= {"assert" if isinstance(test, str) else test["testtype"] for test in problem.tests}
        assert kinds == {"assert", "functional", "stdin"}

    def test_no_hint_holds_a_line_of_the_solution(self) -> None:
        task = load("gapcast/functions")
        for problem in every(task):
            code = {line.strip() for line in str(problem.reference_solution).splitlines() if len(line.strip()) > 12}
            assert not [line for line in code if line in task.hint_text(problem, 3)], problem.id

    def test_some_solutions_pass_and_their_wrong_neighbours_fail(self) -> None:
        self.judge(every(load("gapcast/functions"))[::19])

    @pytest.mark.slow
    def test_every_solution_passes_and_its_wrong_neighbour_fails(self) -> None:
        problems = every(load("gapcast/functions"))
        assert set(WRONG) == {problem.id for problem in problems}
        self.judge(problems)

    @staticmethod
    def judge(problems: list[Problem]) -> None:
        reason = check()
        if reason is not None:
            pytest.skip(reason)
        task = load("gapcast/functions")
        for problem in problems:
            verdict = task.verify(problem, str(problem.reference_solution))
            assert verdict.success, f"{problem.id}: {verdict}"
            verdict = task.verify(problem, f"I think this is it:\n\n{WRONG[problem.id]}\n")
            assert verdict.score == 0, problem.id
            assert verdict.failures, problem.id


def test_the_examples_in_the_documents_are_problems() -> None:
    blocks = re.findall(r"^```json\n(.*?)^```", (ROOT / "docs" / "tasks.md").read_text(), re.MULTILINE | re.DOTALL)
    examples = [one for block in blocks for one in re.split(r"\n(?=\{)", block.strip())]
    assert len(examples) >= 8
    for example in examples:
        ProblemIn.model_validate_json(example)
