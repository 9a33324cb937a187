"""A file that does not fit is refused with line and field, and nothing of it is kept anywhere."""

import os
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.problems import MOST_TEXT
from service.kit.errors import Unavailable
from service.tasks import checks, task_files
from tests.unit.tasks.conftest import count, lines, problem, sender

GOOD = problem(id="good")

MOST_LINE = 1 << 22
"""the limit in these tests: what is told of a longer line does not depend on how much longer lines may be"""


@pytest.fixture(autouse=True)
def shorter_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_files, "MOST_LINE", MOST_LINE)
    monkeypatch.setattr(task_files, "LONG_LINE", MOST_LINE >> 4)


WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    # what the second line has, the verifier, and the field that is told
    ("numeric", "prompt", problem(prompt=None), "got nothing"),
    ("numeric", "prompt", problem(prompt=3), "expected a text, or a list of messages"),
    ("numeric", "prompt", problem(prompt=""), "got an empty text"),
    ("numeric", "prompt", problem(prompt=[]), "got an empty list"),
    ("numeric", "prompt", problem(prompt="x" * (MOST_TEXT + 1)), "got a text of 262145 characters"),
    ("numeric", "prompt", problem(prompt="a\x00"), "NUL"),
    ("numeric", "prompt", problem(prompt="\ud800"), "surrogate"),
    (
        "numeric",
        "prompt.0.role",
        problem(prompt=[{"role": "robot", "content": "x"}]),
        "expected system, user or assistant, got 'robot'",
    ),
    (
        "numeric",
        "prompt.1.content",
        problem(prompt=[{"role": "user", "content": "x"}, {"role": "user"}]),
        "got nothing",
    ),
    ("numeric", "answer", problem(answer=None), "the verifier"),
    ("numeric", "answer", problem(answer="forty-two"), "expected a number, got 'forty-two'"),
    ("numeric", "answer", problem(answer="nan"), "expected a number"),
    ("numeric", "answer", problem(answer=True), "got true. Put it in quotes"),
    ("numeric", "answer", problem(answer=[42]), "expected a text"),
    ("exact", "answer", problem(answer=None), "the verifier"),
    ("choice", "answer", problem(answer="Z"), "ABCDE"),
    ("regex", "answer", problem(answer="(a"), "regular expression"),
    ("regex", "answer", problem(answer="a{99999999999999999999}"), "regular expression"),
    ("python_tests", "tests", problem(answer=None), "the verifier"),
    ("python_tests", "tests.0.output", problem(tests=[{"input": "1"}]), "got nothing"),
    ("python_tests", "tests.1", problem(tests=["assert f()", 3]), "expected a case with input and output"),
    ("python_tests", "tests.0", problem(tests=["a\x00"]), "NUL"),
    (
        "python_tests",
        "tests",
        problem(tests=["assert f()"] * 1025),
        "1 to 1024 items, or null, got a list of 1025 items",
    ),
    (
        "python_tests",
        "tests.0.testtype",
        problem(tests=[{"input": "", "output": "", "testtype": "x"}]),
        "expected stdin or functional",
    ),
    ("numeric", "hints", problem(hints="look"), "list"),
    ("numeric", "hints.1", problem(hints=["a", "b\x00"]), "NUL"),
    ("numeric", "split", problem(split="test"), "expected train or held_out"),
    ("numeric", "id", problem(id=""), "got an empty text"),
    ("numeric", "id", problem(id="good"), "line 1 has the same one"),
    ("numeric", "id", problem(id="line-3"), "line 2"),
    ("numeric", "id", problem(id="x" * 256), "1 to 255 characters"),
    ("numeric", "question", problem(question="?"), "is not a known field"),
    ("numeric", "\\ud800", problem(**{"\ud800": 1}), "is not a known field"),
]


@pytest.mark.parametrize(
    ("verifier", "field", "row", "told"),
    WRONG,
    ids=[f"{field}-{index}" for index, (_, field, _, _) in enumerate(WRONG)],
)
def test_a_wrong_line_is_named_with_its_field(
    refusing: TestClient, verifier: str, field: str, row: dict[str, Any], told: str
) -> None:
    good = {"choice": GOOD | {"answer": "A"}, "python_tests": GOOD | {"tests": ["assert f()"]}}.get(verifier, GOOD)
    rows = [good, {**good, "id": None}, row] if row.get("id") == "line-3" else [good, row]
    if row.get("id") == "line-3":  # the second line has no id of its own, so it has taken its number's
        rows[2]["id"] = "line-2"
    answer = sender(refusing)(lines(*rows), verifier=verifier)
    assert answer.status_code == 422
    content = answer.json()
    line = len(rows)
    assert (content["code"], content["param"]) == ("invalid_file", f"lines.{line}.{field}")
    assert content["errors"][0]["message"].startswith(f"line {line}: ")
    assert told in content["errors"][0]["message"]
    assert "Nothing was stored" in content["detail"]
    assert count(refusing, "tasks") == count(refusing, "problems") == 0


BROKEN: list[tuple[bytes, str, str]] = [
    (b"", "", "does not contain a problem"),
    (b"\n \r\n\t\n", "", "does not contain a problem"),
    (b"\xef\xbb\xbf", "", "does not contain a problem"),
    (lines(GOOD) + b"{", "lines.2", "character 2"),
    (lines(GOOD) + b"[1]\n", "lines.2", "expected an object"),
    (b"3", "lines.1", "expected an object"),
    (lines(GOOD) + b'\n{"prompt": "a", "answer": NaN}\n', "lines.3.answer", "NaN"),
    (b'{"prompt": "a", "answer": 1, "prompt": "b"}\n', "lines.1", "'prompt' appears twice"),
    (b'{"prompt": "a", "answer": ' + b"9" * 5000 + b"}\n", "lines.1.answer", "4300 digits"),
    (lines(GOOD) + b'{"prompt": "a\xff"}', "lines.2.prompt", f"byte {len(lines(GOOD)) + 13} of the file is not UTF-8"),
    ("\ufeff".encode("utf-16") + "{}".encode("utf-16"), "lines.1", "not UTF-8"),
    (b"[" * 100_000, "lines.1", "nested too deeply"),
    (b'{"id": "a", "hints": ' + b"[" * 100_000, "lines.1.hints", "nested too deeply"),
    (lines(GOOD) + b'{"prompt": "a", "answer": "1', "lines.2.answer", "Unterminated string"),
    (b'{"prompt": "a", "answer": 1 "id": "b"}', "lines.1", "Expecting ',' delimiter"),
    (b'{"prompt": "a", "tests": [{"input": 1, "input": 2}]}', "lines.1.tests", "'input' appears twice"),
    (
        b'{"prompt": "' + b"x" * MOST_LINE + b'"}\n{"a": 1}\n',
        "lines.1.prompt",
        f"at most {MOST_LINE}",
    ),
    (lines(problem(split="held_out")), "split", "held out"),
    (b"PAR1 is another form", "lines.1", "not JSON"),
]


@pytest.mark.parametrize(("body", "param", "told"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_is_refused(refusing: TestClient, body: bytes, param: str, told: str) -> None:
    answer = sender(refusing)(body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_file")
    assert (answer.json()["param"] or "") == param
    assert told in answer.json()["detail"]
    assert count(refusing, "tasks") == count(refusing, "problems") == 0


def test_each_fault_is_told_once_and_a_huge_line_is_passed_over(refusing: TestClient) -> None:
    huge = b'{"prompt": "' + b"x" * 10_000_000 + b'"}\n'
    errors = sender(refusing)(huge + lines(*[problem(answer="x")] * 30)).json()["errors"]
    assert [one["param"] for one in errors] == ["lines.1.prompt", "lines.2.answer"]
    assert "got 10000015." in errors[0]["message"]
    begins, ends = "line 2: expected a number, got 'x'. Write it as ", "The same in 29 more lines: 3, 4, 5, 6, 7, ..."
    message = errors[1]["message"]
    assert message.startswith(begins)
    assert message.endswith(ends)
    many = {f"field {index}": index for index in range(10_000)}
    assert len(sender(refusing)(lines(many)).json()["errors"]) == 20


LONG = b"x" * MOST_LINE
TOO_LONG: list[tuple[bytes, str]] = [
    # a line, and the field in which it is too long
    (b'{"answer": "1", "prompt": "' + LONG + b'"}', ".prompt"),
    (b'{"prompt": [{"role": "user", "content": "' + LONG + b'"}]}', ".prompt"),
    (b'{"hints": ["' + LONG[:-40] + b'"], "prompt": "' + LONG + b'"}', ".prompt"),
    (b'{"id": "\\"a", "hints" : [ ' + b'"ab", ' * (len(LONG) // 5) + b'"a"]}', ".hints"),
    (('{"prompt": "' + "é" * len(LONG) + '"}').encode(), ".prompt"),
    (b'{"prompt": "' + b"\\u00e9" * len(LONG) + b'"}', ".prompt"),
    (b'{"prompt": "' + b"\xff" * len(LONG) + b'"}', ".prompt"),
    (b'{"answer": ' + b"1" * len(LONG) + b"}", ".answer"),
    (b'{"answer": ' + b"[" * len(LONG) + b"}", ".answer"),
    (b'{"' + LONG + b'": 1}', ""),
    (b'["' + LONG + b'"]', ""),
    (LONG + b"x", ""),
]


@pytest.mark.parametrize(("line", "field"), TOO_LONG, ids=range(len(TOO_LONG)))
def test_a_line_that_is_too_long_is_told_with_its_field(refusing: TestClient, line: bytes, field: str) -> None:
    content = sender(refusing)(lines(GOOD) + line).json()
    assert (content["code"], content["param"]) == ("invalid_file", f"lines.2{field}")
    assert f"expected at most {MOST_LINE} bytes, got {len(line)}." in content["detail"]


def test_more_problems_than_a_task_may_have(refusing: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MOST_PROBLEMS", 10)
    answer = sender(refusing)(lines(*[problem()] * 11))
    assert "more than 10 problems" in answer.json()["detail"]


HEADERS: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": None}),
    ("name", {"name": "Maths"}),
    ("name", {"name": "a/b/c"}),
    ("name", {"name": "lab/mine"}),
    ("name", {"name": "gapcast/mine"}),
    ("name", {"name": "mine/problems"}),
    ("verifier", {"verifier": None}),
    ("verifier", {"verifier": "llm_judge"}),
    ("max_tokens", {"max_tokens": 0}),
    ("max_tokens", {"max_tokens": "many"}),
    ("preamble", {"preamble": ""}),
    ("options", {"options": "{"}),
    ("options", {"options": "[1]"}),
    ("options", {"options": '{"kind": "exact"}'}),
    ("options", {"options": "[" * 5000}),
    ("options.json_schema.a", {"verifier": "json_schema", "options": '{"json_schema": {"a": "\\ud800"}}'}),
    ("options.json_schema", {"verifier": "json_schema", "options": '{"json_schema": {"a\\u0000": 1}}'}),
    ("options", {"verifier": "json_schema", "options": '{"json_schema": {"a": NaN}}'}),
    ("options", {"verifier": "json_schema", "options": '{"json_schema": {"a": ' + "[" * 400 + "]" * 400 + "}}"}),
    ("options.relative_tolerance", {"options": '{"relative_tolerance": 2}'}),
    ("options.tolerance", {"options": '{"tolerance": 0.1}'}),
    ("options.json_schema", {"verifier": "json_schema"}),
    ("options.name", {"verifier": "plugin"}),
    ("options.letters", {"verifier": "choice", "options": '{"letters": "abc"}'}),
]


@pytest.mark.parametrize(
    ("param", "query"), HEADERS, ids=[f"{param}-{index}" for index, (param, _) in enumerate(HEADERS)]
)
def test_what_is_said_beside_the_file_is_checked(refusing: TestClient, param: str, query: dict[str, Any]) -> None:
    answer = sender(refusing)(lines(GOOD), **query)
    assert (answer.status_code, answer.json()["code"], answer.json()["param"]) == (422, "invalid_request", param)


def test_other_media_types_and_packed_bodies_are_refused(refusing: TestClient) -> None:
    send = sender(refusing)
    assert send(lines(GOOD), "application/xml").json()["code"] == "unsupported_media_type"
    packed = send(lines(GOOD), headers={"Content-Encoding": "gzip"})
    assert (packed.status_code, packed.json()["param"]) == (415, "Content-Encoding")


def test_a_file_over_the_limit_is_refused_and_other_paths_keep_theirs(refusing: TestClient) -> None:
    settings = refusing.app.state.gapcast.settings  # type: ignore[attr-defined]
    declared = {"Content-Length": str(settings.max_task_bytes + 1)}
    answer = sender(refusing)(b"", headers=declared)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert refusing.post("/v1/predictions", content=b" " * (settings.max_body_bytes + 1)).status_code == 413


def test_a_refused_file_leaves_nothing_on_the_disk(refusing: TestClient) -> None:
    folder: Path = refusing.app.state.gapcast.settings.data_dir  # type: ignore[attr-defined]
    before = {path.name for path in folder.rglob("*")}
    open_before = len(os.listdir("/proc/self/fd"))
    for body in (b"{", lines(*[problem(answer="x")] * 30), lines(GOOD, GOOD)):
        assert sender(refusing)(body).status_code == 422
    assert {path.name for path in folder.rglob("*")} == before
    assert len(os.listdir("/proc/self/fd")) <= open_before + 1, "files without a name are closed"


def test_a_folder_that_takes_no_more_is_the_operators_fault(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(Unavailable, match="File too large") as raised, task_files.scratch(tmp_path) as file:
            file.writelines([b"x" * 100_000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(tmp_path) not in raised.value.detail
    assert list(tmp_path.iterdir()) == []


def test_one_long_line_at_a_time_is_in_memory(tmp_path: Path) -> None:
    def file_of(name: str) -> IO[bytes]:
        (tmp_path / name).write_bytes(lines(problem(prompt="a"), problem(prompt="b" * task_files.LONG_LINE), GOOD))
        return (tmp_path / name).open("rb")

    with file_of("a") as a, file_of("b") as b:
        first, second = task_files.read(a), task_files.read(b)
        next(first), next(first), next(second)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(next, second)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
            first.close()  # also where the rest of a file is not read
            assert isinstance(waiting.result(timeout=60), task_files.Line)
        second.close()
