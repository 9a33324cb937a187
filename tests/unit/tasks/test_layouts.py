"""Public task files go in as they are, and files of other columns with a mapping: the shapes are the data sets' own."""

import base64
import csv
import io
import json
import pickle
import zlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from gapcast.contract.problems import Preset
from service.tasks import hidden_tests as hidden_tests_module
from service.tasks import uploads
from service.tasks.hidden_tests import hidden_tests
from service.tasks.presets import LAYOUTS, detect
from tests.unit.tasks.conftest import Send, lines, problem, sender

PARQUET, CSV, JSON = "application/vnd.apache.parquet", "text/csv", "application/json"

GSM8K = {
    "question": "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total?",
    "answer": "It takes 2/2=<<2/2=1>>1 bolt of white fiber.\nSo the total is 2+1=<<2+1=3>>3 bolts.\n#### 3",
}
MATH = {
    "problem": "What is $1+\\frac{1}{2}$?",
    "level": "Level 1",
    "type": "Algebra",
    "solution": "We add: $\\boxed{\\frac{3}{2}}$.",
}
MMLU = {"question": "What is 2 + 2?", "subject": "maths", "choices": ["3", "4", "5", "6"], "answer": 1}
HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": 'def double(n):\n    """Return twice n."""\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * n\n",
    "test": "METADATA = {}\n\ndef check(candidate):\n    assert candidate(2) == 4\n",
}
MBPP = {
    "task_id": 11,
    "text": "Write a function to add two numbers.",
    "code": "def add(a, b):\r\n  return a + b",
    "test_setup_code": "",
    "test_list": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
    "challenge_test_list": [],
}
CASE = {"input": "2 3\n", "output": "5\n", "testtype": "stdin"}
PACKED = base64.b64encode(zlib.compress(pickle.dumps(json.dumps([CASE, CASE])))).decode()
LIVECODEBENCH = {
    "question_title": "Sum",
    "question_content": "Print the sum of two numbers.",
    "question_id": "abc_a",
    "starter_code": "",
    "public_test_cases": json.dumps([CASE]),
    "private_test_cases": PACKED,
    "metadata": "{}",
    "difficulty": "easy",
}
APPS = {
    "problem_id": 7,
    "question": "Print the sum of two numbers.",
    "solutions": json.dumps(["a, b = map(int, input().split())\nprint(a + b)"]),
    "input_output": json.dumps({"inputs": ["2 3\n"], "outputs": ["5\n"]}),
    "difficulty": "introductory",
    "starter_code": "",
}
VERL = {
    "data_source": "openai/gsm8k",
    "prompt": [{"role": "user", "content": "What is 6 x 7?"}],
    "ability": "math",
    "reward_model": {"style": "rule", "ground_truth": "42"},
    "extra_info": {"split": "train", "index": 5, "answer": "6 x 7 = 42\n#### 42"},
}
TRL = {"prompt": [{"role": "user", "content": "What is 6 x 7?"}], "solution": "$42$", "completion": "It is 42."}
SDFT = {"prompt": "Use the tool.", "golden_response": ["Action: look", "Done."], "golden_answer": [{"Action": "look"}]}
SCIKNOWEVAL = {
    "idx": 0,
    "kind": "mcq",
    "dataset": "sciknoweval",
    "answer": "B",
    "elo": 1500,
    "prompt": "Which one?\n\nA: 1\nB: 2",
    "description": "Which one?",
    "tests": "-",
    "embedding": [],
    "system": "Answer with a letter.",
}

ROWS: list[tuple[Preset, dict[str, Any], str, dict[str, Any]]] = [
    # the layout, a row of it, its verifier, and the problem
    (
        *("gsm8k", GSM8K, "numeric"),
        {
            "prompt": GSM8K["question"],
            "answer": "3",
            "reference_solution": "It takes 2/2=1 bolt of white fiber.\nSo the total is 2+1=3 bolts.\n#### 3",
        },
    ),
    (
        *("mmlu", MMLU, "choice"),
        {
            "prompt": "What is 2 + 2?\n\nA. 3\nB. 4\nC. 5\nD. 6\n\nAnswer with the letter of the right choice.",
            "answer": "B",
        },
    ),
    (
        *("humaneval", HUMANEVAL, "python_tests"),
        {
            "id": "HumanEval/0",
            "prompt": "Complete this Python function. Answer with the whole program in one block.\n\n```python\n"
            'def double(n):\n    """Return twice n."""\n```',
            "tests": ["METADATA = {}\n\ndef check(candidate):\n    assert candidate(2) == 4\n\ncheck(double)\n"],
            "fn_name": "double",
            "reference_solution": '```python\ndef double(n):\n    """Return twice n."""\n    return 2 * n\n```',
        },
    ),
    (
        *("mbpp", MBPP, "python_tests"),
        {
            "id": "11",
            "prompt": "Write a function to add two numbers.\n\nThe code should satisfy these tests:\n\n```python\n"
            "assert add(1, 2) == 3\nassert add(0, 0) == 0\n```",
            "tests": MBPP["test_list"],
            "reference_solution": "```python\ndef add(a, b):\n  return a + b\n```",
        },
    ),
    (
        *("livecodebench", LIVECODEBENCH, "python_tests"),
        {
            "id": "abc_a",
            "prompt": "Print the sum of two numbers.\n\nRead the input from standard input and print the answer."
            "\n\nAnswer with one Python program in one block.",
            "tests": [{"input": "2 3\n", "output": "5\n"}] * 3,
        },
    ),
    (
        *("apps", APPS, "python_tests"),
        {
            "id": "7",
            "prompt": "Print the sum of two numbers.\n\nAnswer with one Python program in one block.",
            "tests": [{"input": "2 3\n", "output": "5\n"}],
            "reference_solution": "```python\na, b = map(int, input().split())\nprint(a + b)\n```",
        },
    ),
    (
        *("verl", VERL, "numeric"),
        {
            "id": "openai/gsm8k-5",
            "prompt": VERL["prompt"],
            "answer": "42",
            "reference_solution": "6 x 7 = 42\n#### 42",
        },
    ),
    (
        *("trl", TRL, "exact"),
        {"prompt": TRL["prompt"], "answer": "$42$", "reference_solution": "It is 42."},
    ),
    (
        *("sdft", SDFT, "json_schema"),
        {
            "prompt": "Use the tool.",
            "privileged_context": "Action: look\nDone.",
            "answer": '[{"Action": "look"}]',
        },
    ),
    (
        *("sciknoweval", SCIKNOWEVAL, "choice"),
        {
            "id": "0",
            "prompt": [
                {"role": "system", "content": "Answer with a letter."},
                {"role": "user", "content": SCIKNOWEVAL["prompt"]},
            ],
            "answer": "B",
        },
    ),
]


def stored(client: TestClient, number: int = 0) -> dict[str, Any]:
    """A problem as it is stored, without what is written of each."""
    content: dict[str, Any] = client.get("/v1/tasks/mine/maths/problems").json()["data"][number]["problem"]
    del content["split"]
    return content


def table(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


@pytest.mark.parametrize(("layout", "row", "verifier", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_a_public_layout_is_read_as_it_is(
    client: TestClient, send: Send, layout: Preset, row: dict[str, Any], verifier: str, expected: dict[str, Any]
) -> None:
    given = {"from": layout} | ({"verifier": verifier} if layout in {"trl", "sdft"} else {"verifier": None})
    options = '{"json_schema": {}}' if verifier == "json_schema" else None
    made = send(lines(row), options=options, **given)
    assert made.status_code == 201, made.text
    assert made.json()["verifier"] == verifier
    assert stored(client) == {"id": "line-1"} | expected


@pytest.mark.parametrize(("layout", "row", "verifier", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_a_file_that_looks_like_a_layout_is_told_so(
    refusing: TestClient, layout: Preset, row: dict[str, Any], verifier: str, expected: dict[str, Any]
) -> None:
    del verifier, expected
    assert detect(row) == layout
    if layout == "gsm8k":
        assert detect({"question": "x", "answer": "3"}) is None
    answer = sender(refusing)(lines(row, row)).json()
    assert f"The file looks like {layout}: add from={layout} (--from {layout})." in answer["detail"]


def test_every_layout_has_a_test() -> None:
    assert {row[0] for row in ROWS} | {"math"} == LAYOUTS.keys()


def test_math_takes_the_box_of_its_solution_and_its_own_answer() -> None:
    assert LAYOUTS["math"].problem(MATH) == {
        "prompt": MATH["problem"],
        "answer": "\\frac{3}{2}",
        "reference_solution": MATH["solution"],
    }
    assert LAYOUTS["math"].problem(MATH | {"answer": "1.5", "unique_id": "a/1"})["answer"] == "1.5"


def test_a_verl_table_goes_in_and_without_its_name_all_columns_are_told_at_once(client: TestClient, send: Send) -> None:
    rows = [VERL | {"extra_info": VERL["extra_info"] | {"index": index}, "image": b"\xff"} for index in range(30)]  # type: ignore[operator]
    refused = send(table(rows), PARQUET).json()
    assert (refused["code"], refused["param"]) == ("invalid_file", "columns.data_source")
    assert refused["detail"].startswith("columns data_source, ability, reward_model, extra_info, image are not known.")
    assert "add from=verl" in refused["detail"]
    made = send(table(rows), PARQUET, **{"from": "verl", "verifier": None})
    assert made.status_code == 201, made.text
    assert (made.json()["train_problems"], made.json()["with_reference_solution"]) == (30, 30)
    assert stored(client, 3)["id"] == "openai/gsm8k-3"


def sheet(*rows: list[str]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


QUESTION = ["What is 2 + 2?", "3", "4", "5", "6", "B"]


@pytest.mark.parametrize("header", [[], [["question", "A", "B", "C", "D", "answer"]]], ids=["without", "with"])
def test_mmlus_csv_goes_in_with_and_without_a_header(client: TestClient, send: Send, header: list[list[str]]) -> None:
    body = sheet(*header, QUESTION, QUESTION)
    assert "add from=mmlu" in send(body, CSV).json()["detail"]
    made = send(body, CSV, **{"from": "mmlu", "verifier": None})
    assert made.status_code == 201, made.text
    assert (made.json()["train_problems"], made.json()["verifier_options"]) == (2, {"letters": "ABCD"})
    assert stored(client) == {"id": "line-1", "prompt": ROWS[1][3]["prompt"], "answer": "B"}


def test_a_sheet_of_own_columns(client: TestClient, send: Send) -> None:
    body = '\ufeffprompt,answer,hints,id\n"What, then?",1.50,"[""a""]",\n\nx,2,,7\n'.encode()
    assert send(body, CSV).status_code == 201
    assert stored(client) == {"id": "line-1", "prompt": "What, then?", "answer": "1.50", "hints": ["a"]}
    assert stored(client, 1) == {"id": "7", "prompt": "x", "answer": "2"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"prompt,answer\nx\n", "row 1: expected 2 cells, got 1."),
        (b"prompt,prompt\nx,y\n", "'prompt' appears twice"),
        (b'prompt,answer\n"x,1\n', "the file is not CSV"),
        (b"prompt,answer\n\xff,1\n", "the file is not CSV"),
        (b"", "does not contain a problem"),
        (b"question,answer\nx,1\n", "column question is not known. The columns are prompt"),
    ],
)
def test_a_broken_sheet(refusing: TestClient, body: bytes, told: str) -> None:
    answer = sender(refusing)(body, CSV)
    assert (answer.status_code, told in answer.json()["detail"]) == (422, True), answer.text


def test_a_json_array_keeps_its_digits_and_json_may_be_lines(client: TestClient, send: Send) -> None:
    rows = '[\n  {"prompt": "a\\n", "answer": 1.50},\n  {"prompt": "b",\n   "answer": "2"}\n]\n'
    assert send(rows.encode(), JSON).status_code == 201
    assert (stored(client)["answer"], stored(client, 1)["answer"]) == ("1.50", "2")
    assert send(lines(problem(), problem()), JSON).json()["train_problems"] == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("[]", "does not contain a problem"),
        ('[{"prompt": "a", "answer": 1}, 3]', "item 2: expected an object"),
        ('[{"prompt": "a", "answer": 1, "answer": 2}]', "item 1: is not JSON: the key 'answer' appears twice"),
        ('[{"prompt": "a"} {}]', "item 1: is not followed by a comma"),
        ('[{"prompt": "a"}', "item 1: is not followed by a comma"),
        ('[{"prompt": "a"}, {', "item 2: is not JSON"),
        ('[{"prompt": "a", "answer": 1}] 3', "the file goes on"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_broken_array(refusing: TestClient, body: str, told: str) -> None:
    answer = sender(refusing)(body.encode(), JSON)
    assert (answer.status_code, told in answer.json()["detail"]) == (422, True), answer.text


def test_columns_are_mapped_and_others_left_out(client: TestClient, send: Send) -> None:
    row = {"question": "6 x 7?", "gold": {"value": 42}, "answer": "no", "level": 3, "id": 1, "hints": None}
    given = {"map": ["prompt=question", "answer=gold.value", "reference_solution=gold.steps"]}
    assert send(lines(row), **given).status_code == 201
    assert stored(client) == {"id": "1", "prompt": "6 x 7?", "answer": "42"}


def test_a_mapping_stands_before_a_layout(client: TestClient, send: Send) -> None:
    made = send(lines(GSM8K | {"hint": ["look"]}), map="hints=hint", verifier=None, **{"from": "gsm8k"})
    assert made.status_code == 201, made.text
    assert (stored(client)["hints"], stored(client)["answer"]) == (["look"], "3")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"map": "prompt"}, "map: expected FIELD=COLUMN"),
        ({"map": "promt=question"}, "Did you mean 'prompt'?"),
        ({"map": "prompt=task"}, "line 1: expected this column, as `map` names it, got question and answer."),
        ({"from": "gsm9k"}, "from: expected"),
        ({"from": "trl", "verifier": None}, "verifier: expected one of"),
        ({"verifier": None}, "verifier: expected one of"),
        ({"from": "gsm8k", "verifier": "choice"}, "expected one of the letters"),
        ({"from": "humaneval"}, "line 1: expected a value in the column prompt, got nothing."),
    ],
)
def test_a_mapping_that_does_not_fit(refusing: TestClient, query: dict[str, Any], told: str) -> None:
    answer = sender(refusing)(lines(GSM8K), **query)
    assert (answer.status_code, told in answer.json()["detail"]) == (422, True), answer.text


def test_nothing_is_parsed_of_a_file_with_too_many_lines(refusing: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_PROBLEMS", 3)
    answer = sender(refusing)(b"not JSON\n\n" * 4).json()
    assert "expected at most 3 problems, got 4 lines" in answer["detail"]


def test_hidden_tests_of_other_forms() -> None:
    case = {"input": "1", "output": "1"}
    assert hidden_tests(json.dumps([case])) == hidden_tests([case]) == [case]
    assert hidden_tests(base64.b64encode(zlib.compress(json.dumps([case]).encode())).decode()) == [case]
    assert hidden_tests("") == hidden_tests(None) == []


class Bomb:
    """What a pickle could run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


@pytest.mark.parametrize(
    "content",
    [
        zlib.compress(pickle.dumps(Bomb())),
        zlib.compress(pickle.dumps(3)),
        zlib.compress(b"[1"),
        b"x",
        zlib.compress(b"x"),
    ],
    ids=["code", "number", "broken", "unpacked", "text"],
)
def test_hidden_tests_that_are_none_are_refused_and_never_run(
    refusing: TestClient, capfd: pytest.CaptureFixture[str], content: bytes
) -> None:
    row = LIVECODEBENCH | {"private_test_cases": base64.b64encode(content).decode()}
    answer = sender(refusing)(lines(row), verifier=None, **{"from": "livecodebench"})
    assert (answer.status_code, answer.json()["param"]) == (422, "lines.1.private_test_cases")
    assert "run" not in capfd.readouterr().out


def test_hidden_tests_that_unpack_to_more_than_is_taken(refusing: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden_tests_module, "MOST_BYTES", 1000)
    row = LIVECODEBENCH | {"private_test_cases": base64.b64encode(zlib.compress(b"[" * 100_000)).decode()}
    answer = sender(refusing)(lines(row), verifier=None, **{"from": "livecodebench"}).json()
    assert "unpacks to more than 1000 bytes" in answer["detail"]


@pytest.mark.parametrize(
    ("given", "kept"), [(7, "7"), (1.50, "1.5"), (True, "true"), ([1, "a"], '[1, "a"]'), (None, "line-1")]
)
def test_an_id_of_any_type(client: TestClient, send: Send, given: Any, kept: str) -> None:
    row = {"id": given, "prompt": "x", "answer": "4"}
    assert send(lines(row)).status_code == 201
    assert stored(client)["id"] == kept


def test_null_columns_are_left_out(client: TestClient, send: Send) -> None:
    row = {"prompt": "x", "answer": "4", "hints": None, "split": None, "tests": None, "id": None}
    assert send(lines(row)).status_code == 201
    assert stored(client) == {"id": "line-1", "prompt": "x", "answer": "4"}
