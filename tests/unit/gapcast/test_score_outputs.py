"""`gapcast tasks score`: the verifier's own process reads a file, and the command shows what it says."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gapcast.cli.main import app

LINES = [
    {"id": "a", "answer": "42", "completion": "The answer is 42. Check: 84/2", "label": 1},
    {"answer": "42", "completion": "<think>42", "label": False},
    {"prompt": "6*7?", "answer": "42", "completion": r"\boxed{41}"},
]


def run(tmp_path: Path, lines: list[Any], *options: str) -> Result:
    file = tmp_path / "outputs.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return CliRunner().invoke(app, ["tasks", "score", str(file), *options])


def test_the_table_has_score_and_answer_of_each_line(tmp_path: Path) -> None:
    result = run(tmp_path, LINES, "--verifier", "numeric")
    assert result.exit_code == 0, result.output
    rows = [line.split()[:4] for line in result.stdout.splitlines()]
    assert rows[1] == ["1", "1", "1", "42"]
    assert rows[2][:3] == ["2", "0", "0"]
    assert rows[3][:3] == ["3", "0", "41"]
    assert (
        "3 outputs: 1 right (33.3%), 2 wrong, in 1 of which no answer was found. 2 of 2 labels agree." in result.output
    )


def test_json_has_the_same(tmp_path: Path) -> None:
    result = run(tmp_path, LINES, "--verifier", "numeric", "--json")
    answer = json.loads(result.stdout)
    assert [(row["line"], row["id"], row["score"], row["read"]) for row in answer["scores"]] == [
        (1, "a", 1.0, "42"),
        (2, "line-2", 0.0, None),
        (3, "line-3", 0.0, "41"),
    ]
    assert answer["summary"] == {"outputs": 3, "right": 1, "partly": 0, "unread": 1, "labelled": 2, "agree": 2}


def test_completions_may_begin_inside_their_thinking(tmp_path: Path) -> None:
    lines = [{"answer": "42", "completion": "Is it 42?"}, {"answer": "42", "completion": "Is it 41? No.</think>42"}]
    result = run(tmp_path, lines, "--verifier", "numeric", "--opened", "--json")
    assert [row["score"] for row in json.loads(result.stdout)["scores"]] == [0, 1]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"answer": "42"}, "line 1, completion: expected a text, the model's output, got null."),
        ({"answer": "x?", "completion": ""}, "line 1, answer: expected a number"),
        ({"completion": ""}, "line 1, answer: expected a value, got nothing. Add it."),
        ({"answer": "1", "completion": "", "label": 2}, "line 1, label: expected a score from 0 to 1"),
        ({"answr": "1", "completion": ""}, "line 1, answr:"),
        ("{", "line 1, expected a JSON object"),
        ("", "it has no outputs."),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: Any, said: str) -> None:
    result = run(tmp_path, [line], "--verifier", "numeric")
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_a_wrong_option_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, LINES, "--verifier", "numeric", "--options", '{"tolerance": 1}')
    assert result.exit_code == 2
    assert "tolerance: is not a known field" in " ".join(result.output.split())


def test_it_needs_neither_torch_nor_the_workers_libraries() -> None:
    code = "import sys, workers.tasks.score; print(*{'torch', 'transformers', 'regex', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == ""
