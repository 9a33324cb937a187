import gc
import json
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gapcast.contract.problems import ProblemIn, TaskHash, TaskIn, canonical
from workers.failures import JobError
from workers.tasks import Split, load_task
from workers.tasks.file_task import FileTask
from workers.tasks.sandbox import check

pytestmark = pytest.mark.slow

HEADER = TaskIn.model_validate({"name": "mine/sums", "verifier": {"kind": "numeric"}, "max_tokens": 64})

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a task as the service stores it and returns its revision."""

    def make(problems: list[dict[str, Any]], header: TaskIn = HEADER) -> str:
        (tmp_path / "task.json").write_text(json.dumps(header.model_dump(mode="json")))
        digest = TaskHash(header)
        with (tmp_path / "problems.jsonl").open("wb") as file:
            for fields in problems:
                line = canonical(ProblemIn.model_validate(fields))
                digest.add(line)
                file.write(line + b"\n")
        return digest.revision

    return make


def sums(count: int, **fields: Any) -> list[dict[str, Any]]:
    splits = ("train", "train", "held_out")
    return [
        {"id": f"line-{i}", "split": splits[i % 3], "prompt": f"{i} + 1 = ?", "answer": i + 1} | fields
        for i in range(count)
    ]


class TestFileTask:
    def test_has_the_problems_of_each_split_in_the_files_order(self, tmp_path: Path, write: Write) -> None:
        revision = write(sums(9))
        task = load_task("mine/sums", revision, tmp_path)
        assert (task.name, task.revision, task.max_tokens, task.slow) == ("mine/sums", revision, 64, False)
        assert [problem.id for problem in task.problems(Split.held_out)] == ["line-2", "line-5", "line-8"]
        train = task.problems(Split.train)
        assert len(train) == 6
        assert [problem.answer for problem in train[-2:]] == ["7", "8"]
        assert train[-1].split is Split.train
        with pytest.raises(IndexError):
            train[6]
        assert task.verify(train[0], "It is 1.").success

    def test_a_problem_keeps_everything(self, tmp_path: Path, write: Write) -> None:
        fields = {
            "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Zeile\u2028eins?"}],
            "hints": ["one", "two", "three"],
            "reference_solution": "r",
            "privileged_context": "c",
            "fn_name": "f",
            "tests": ["assert f(1) == 2", {"input": "1", "output": "2", "testtype": "functional"}],
        }
        write(sums(1, **fields))
        task = FileTask(tmp_path)
        problem = task.problems(Split.train)[0]
        assert problem.text == "Be brief.\n\nZeile\u2028eins?"
        assert problem.prompt == tuple(fields["prompt"])
        assert problem.tests == tuple(fields["tests"])
        assert (problem.reference_solution, problem.privileged_context, problem.fn_name) == ("r", "c", "f")
        assert task.hint_levels == 3
        assert task.hint_text(problem, 2) == "one\ntwo"

    def test_long_tests_are_read_when_they_are_run_and_not_kept(self, tmp_path: Path, write: Write) -> None:
        case = {"input": "1 " * 600_000, "output": "600000", "testtype": "stdin"}
        header = {"name": "mine/long", "verifier": {"kind": "python_tests", "memory_mb": 256}}
        fields = {"answer": None, "tests": [case, {"input": "1", "output": "1"}]}
        write(sums(1, **fields), TaskIn.model_validate(header))
        task = FileTask(tmp_path)
        tracemalloc.start()
        problem = task.problems(Split.train)[0]
        assert tracemalloc.get_traced_memory()[0] < 200_000
        tracemalloc.stop()
        assert len(problem.tests) == 2
        assert (
            [test["output"] for test in problem.tests]
            == ["600000", "1"]
            == [problem.tests[i]["output"] for i in (0, 1)]
        )
        if check() is None:
            assert task.verify(problem, "print(len(input().split()))").success

    def test_another_content_is_another_revision(self, tmp_path: Path, write: Write) -> None:
        revision = write(sums(9))
        write(sums(9, answer=0))
        with pytest.raises(JobError) as failure:
            FileTask(tmp_path, revision)
        assert failure.value.code == "task_revision_mismatch"

    def test_another_verifier_is_another_revision_and_another_name_is_not(self, tmp_path: Path, write: Write) -> None:
        revision = write(sums(3))
        assert write(sums(3), HEADER.model_copy(update={"name": "mine/others"})) == revision
        verifier = TaskIn.model_validate({"name": "x", "verifier": {"kind": "exact"}}).verifier
        assert write(sums(3), HEADER.model_copy(update={"verifier": verifier})) != revision

    def test_a_missing_folder_is_a_missing_task(self, tmp_path: Path) -> None:
        with pytest.raises(JobError) as failure:
            FileTask(tmp_path / "nowhere")
        assert failure.value.code == "task_not_found"

    @pytest.mark.parametrize("line", ["", "{", "[]", '{"split": "test"}', '{"prompt": "x"}', "\udcff"])
    def test_a_broken_line_is_named(self, tmp_path: Path, write: Write, line: str) -> None:
        write(sums(3))
        with (tmp_path / "problems.jsonl").open("ab") as file:
            file.write(line.encode(errors="surrogateescape") + b"\n")
        with pytest.raises(JobError) as failure:
            FileTask(tmp_path)
        assert failure.value.code == "task_file_broken"
        assert "line 4" in failure.value.message

    def test_threads_read_at_once(self, tmp_path: Path, write: Write) -> None:
        write(sums(300))
        problems = FileTask(tmp_path).problems(Split.train)  # the task itself is gone: its problems can still be read
        gc.collect()
        with ThreadPoolExecutor(8) as pool:
            texts = list(pool.map(lambda i: problems[i % 200].text, range(4000)))
        assert texts == [problems[i % 200].text for i in range(4000)]

    def test_a_task_that_is_gone_keeps_no_file_open(self, tmp_path: Path, write: Write) -> None:
        write(sums(3))
        descriptors = Path("/dev/fd")
        before = len(list(descriptors.iterdir()))
        for _ in range(20):
            FileTask(tmp_path)
        gc.collect()
        assert len(list(descriptors.iterdir())) == before

    def test_a_large_file_is_not_held_in_memory(self, tmp_path: Path, write: Write) -> None:
        write(sums(3000, privileged_context="x" * 10_000))  # 30 MB
        tracemalloc.start()
        task = FileTask(tmp_path)
        _ = [len(problem.text) for problem in task.problems(Split.train)]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2_000_000


class TestRegistry:
    def test_an_unknown_task_is_named(self) -> None:
        with pytest.raises(JobError) as failure:
            load_task("lab/subtraction")
        assert (failure.value.code, failure.value.param) == ("task_not_found", "task")
        assert "lab/subtraction" in failure.value.message

    @pytest.mark.parametrize("name", ["lab/addition", "gapcast/word-problems", "gapcast/functions"])
    def test_another_revision_is_refused(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("workers.tasks.python_tests.check", lambda: None)
        assert load_task(name).name == name
        with pytest.raises(JobError) as failure:
            load_task(name, "sha256:0")
        assert failure.value.code == "task_revision_mismatch"

    def test_a_task_that_runs_code_is_refused_at_once_without_a_sandbox(
        self, tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A probe loads its task first, and its model after that."""
        monkeypatch.setattr("workers.tasks.python_tests.check", lambda: "landlock: none")
        header = TaskIn.model_validate({"name": "mine/code", "verifier": {"kind": "python_tests"}, "max_tokens": 64})
        write(sums(1, tests=["assert f(1) == 2"]), header)
        for arguments in (("mine/code", None, tmp_path), ("gapcast/functions",)):
            with pytest.raises(JobError) as failure:
                load_task(*arguments)
            assert (failure.value.code, failure.value.category) == ("sandbox_unavailable", "server")
            assert "landlock: none" in failure.value.message
        write(sums(1))
        assert load_task("mine/sums", None, tmp_path).problems(Split.train)
        assert load_task("gapcast/word-problems").problems(Split.train)
