"""What real harnesses have written is read without them; tests/harness/tools.py has made the files.

verifiers 0.4.0, inspect-ai 0.3.285, lm-eval 0.4.13: a lab model on four sums, two rollouts, without and with a hint.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gapcast.contract.imported_probes import ImportedProbe
from gapcast.elsewhere.scores import Form, ScoresError, form_of, read_scores
from gapcast.elsewhere.scores.inspect_logs import packed

KEPT = Path(__file__).parent / "scores"
ASKED = {"model": "lab/addition", "task": "sums", "context": {"kind": "hints"}}


def files(name: str, arm: str) -> list[Path]:
    return sorted(KEPT.glob(f"{name}-{arm}-*"))


def answers_of(path: Path) -> Iterator[tuple[str, str, str]]:
    """Every rollout's problem, what the model wrote and what is right, by hand."""
    if path.suffix == ".eval":
        rows = [sample for _, sample in packed(path)]
    else:
        text = path.read_text()
        rows = [json.loads(text)] if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    for row in rows:
        yield from _answers(row)


def successes(name: str, arm: str) -> Counter[str]:
    right: Counter[str] = Counter()
    for problem, said, answer in (found for path in files(name, arm) for found in answers_of(path)):
        right[problem] += said.strip() == answer
    return right


def _answers(row: dict[str, Any]) -> list[tuple[str, str, str]]:
    if "traces" in row:
        (trace,) = row["traces"]
        said = [node["message"]["content"] for node in trace["nodes"] if node["message"]["role"] == "assistant"][-1]
        return [(row["task"]["data"]["id"], said, row["task"]["data"]["answer"])]
    if "resps" in row:
        return [(str(row["doc_id"]), row["resps"][0][0], row["target"])]
    samples = row.get("samples", [row])
    return [(one["id"], one["output"]["choices"][0]["message"]["content"], one["target"]) for one in samples]


@pytest.mark.parametrize(
    ("name", "form"), [("verifiers", "verifiers"), ("eval", "inspect"), ("json", "inspect"), ("lm-eval", "lm-eval")]
)
def test_the_gap_of_a_real_pair_is_that_of_its_answers(name: str, form: Form) -> None:
    arms = {}
    for arm in ("student", "teacher"):
        assert {form_of(path) for path in files(name, arm)} == {form}
        arms[arm] = read_scores(files(name, arm))
        assert {problem: sum(scores) for problem, scores in arms[arm].items()} == successes(name, arm)
        assert {len(scores) for scores in arms[arm].values()} == {2}
    probe = ImportedProbe.model_validate(ASKED | arms)
    assert (len(probe.problems), probe.rollouts) == (4, 2)


def test_plain_tables_and_generations_of_verl(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("task_id,reward\na,1\nb,0\na,0.5\nb,True\n")
    assert read_scores([table]) == {"a": [1.0, 0.5], "b": [0.0, 1.0]}
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"id": 1, "score": [1, 0]}\n{"id": 2, "score": [0, 0], "mine": 0.25}\n')
    assert read_scores([lines, lines])["1"] == [1.0, 0.0, 1.0, 0.0]
    verl = tmp_path / "0.jsonl"
    row = {"output": "", "gts": "4", "step": 0}
    rows = [row | {"input": text, "score": -1, "acc": acc} for text, acc in (("q", 1), ("q", 0), ("r", 1))]
    verl.write_text("".join(json.dumps(one) + "\n" for one in rows))
    assert read_scores([verl]) == {"0": [1.0, 0.0], "1": [1.0]}
    assert read_scores([verl], names={"score": "score"})["0"] == [-1.0, -1.0]


@pytest.mark.parametrize(
    ("name", "content", "names", "says"),
    [
        ("a.csv", "id,points\na,1\n", {}, "line 2: expected one of the fields score, scores"),
        ("a.csv", "id,score\na,good\n", {}, "line 2: expected a score from 0 to 1, got 'good'"),
        ("a.csv", "id,score\n,1\n", {}, "line 2: expected the name of a problem, got nothing"),
        ("a.csv", "id,score\n", {}, "expected scores of problems, got none"),
        ("a.jsonl", '{"id": 1, "scor": 1}\n', {"score": "score"}, "got id, scor. Did you mean 'scor'?"),
        ("a.jsonl", '{"id": 1, "score": NaN}\n', {}, "line 1: expected a score from 0 to 1, got NaN"),
        ("a.jsonl", "nothing\n", {}, "line 1: expected JSON, got something else"),
        ("a.jsonl", '{"words": 1}\n', {}, "Name what it is with --format"),
        (
            "traces.jsonl",
            '{"traces": [{"task": {"data": {"idx": 0}}, "rewards": {}, "errors": [{"type": "ProviderError"}]}]}\n',
            {},
            "line 1: expected rewards, got a rollout that was not scored (ProviderError)",
        ),
        (
            "samples.jsonl",
            '{"doc_id": 0, "filtered_resps": [], "filter": "a", "metrics": ["acc", "f1"], "acc": 1, "f1": 1}\n',
            {},
            "line 1: expected one metric and filter, got acc,a, f1,a",
        ),
        (
            "log.json",
            '{"eval": {}, "samples": [{"id": 1, "scores": {}}]}',
            {},
            "sample 1: expected one scorer, got none",
        ),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: str, names: dict[str, str], says: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ScoresError, match=re.escape(says)):
        read_scores([path], names=names)
