"""Agreement of the verifiers with public files that say what is right.

Run `python -m studies.agreement PATH [NAME ...]` in the repository's root, where PATH holds clones of the public
repositories, bare or not, at any depth up to three; docs/measurements.md quotes it. Nothing of them is stored here.
"""

import ast
import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from gapcast.contract.numbers import parse_number
from gapcast.contract.problems import Verifier
from workers.failures import JobError
from workers.tasks import Problem, Split
from workers.tasks.answers import answer_part
from workers.tasks.answers.stated import last_boxed
from workers.tasks.verifiers import verifier

SHOWN = 5
"""disagreements that are printed of each set; the variable SHOWN says otherwise"""


class Item(NamedTuple):
    """A completion, what it is scored by, and the score that it should have."""

    spec: dict[str, Any]
    fields: dict[str, Any]
    completion: str
    right: float


def of_repository(path: Path, repository: str, file: str) -> bytes | None:
    """A file of a clone's newest commit; None where there is no clone or no such file."""
    for pattern in (repository, f"*{repository}*", f"*/{repository}", f"*{repository}*/*", f"*/*{repository}*/*"):
        for folder in path.glob(pattern):
            asked = ["git", f"--git-dir={folder}", "show", f"HEAD:{file}"]
            if (folder / ".git").exists():
                asked = ["git", "-C", str(folder), "show", f"HEAD:{file}"]
            elif not (folder / "HEAD").exists():
                continue
            shown = subprocess.run(asked, capture_output=True, check=False)
            if shown.returncode == 0:
                return shown.stdout
    return None


def rows(content: bytes) -> list[dict[str, Any]]:
    text = content.decode()
    found = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
    return list(found)


NUMERIC, MATH = {"kind": "numeric"}, {"kind": "math"}


def gsm8k(content: bytes) -> Iterator[Item]:
    """Four models' outputs with OpenAI's own labels."""
    for row in rows(content):
        answer = row["ground_truth"].rpartition("A:")[2].strip()
        for value in row.values():
            if isinstance(value, dict):
                yield Item(NUMERIC, {"answer": answer}, value["solution"], float(value["is_correct"]))


def math_solutions(spec: dict[str, Any]) -> Callable[[bytes], Iterator[Item]]:
    """MATH's own solutions, each against its own box; for `numeric` those whose box is a number."""

    def items(content: bytes) -> Iterator[Item]:
        for row in rows(content):
            answer = last_boxed(row["solution"])
            if answer and (spec is MATH or parse_number(answer)):
                yield Item(spec, {"answer": answer}, row["solution"], 1.0)

    return items


def math_outputs(spec: dict[str, Any]) -> Callable[[bytes], Iterator[Item]]:
    """Eight outputs a problem of MATH with Qwen's labels; for `numeric` where the answer is a number."""

    def items(content: bytes) -> Iterator[Item]:
        for row in rows(content):
            if spec is MATH or parse_number(row["answer"]):
                for completion, score in zip(row["code"], row["score"], strict=True):
                    yield Item(spec, {"answer": row["answer"]}, completion, float(score))

    return items


def letters(content: bytes) -> Iterator[Item]:
    """Every letter of every question in the form that the questions ask for, with another letter in the reasoning."""
    for row in rows(content):
        for chosen in "ABCD":
            for other in "ABCD":
                reasoning = f"At first sight the answer is {other}, but (A), (B), (C) and (D) must be compared."
                completion = f"<reasoning>\n{reasoning}\n</reasoning>\n<answer>\n{chosen}\n</answer>"
                spec = {"kind": "choice", "letters": "ABCD"}
                yield Item(spec, {"answer": row["answer"]}, completion, float(chosen == row["answer"]))


def human_eval(content: bytes) -> Iterator[Item]:
    """HumanEval's own solutions."""
    for row in rows(gzip.decompress(content)):
        test = f"{row['test']}\ncheck({row['entry_point']})"
        code = f"```python\n{row['prompt']}{row['canonical_solution']}```"
        yield Item({"kind": "python_tests"}, {"tests": (test,), "fn_name": row["entry_point"]}, code, 1.0)


def mbpp(content: bytes) -> Iterator[Item]:
    """MBPP's own solutions."""
    for row in rows(content):
        setup = row.get("test_setup_code") or ""
        tests = tuple(f"{setup}\n{test}".strip() for test in row["test_list"])
        yield Item({"kind": "python_tests"}, {"tests": tests}, f"```python\n{row['code']}\n```", 1.0)


def triples(spec: dict[str, Any]) -> Callable[[bytes], Iterator[Item]]:
    """math-verify's own tests, gold and prediction; for `numeric` those whose gold is a plain number."""

    def items(content: bytes) -> Iterator[Item]:
        for function in ast.parse(content).body:
            for decorator in getattr(function, "decorator_list", []):
                names, values = [*decorator.args, None, None][:2] if isinstance(decorator, ast.Call) else (None, None)
                if not isinstance(names, ast.Constant) or not str(names.value).startswith("gold,pred,expected"):
                    continue
                for gold, completion, right, *more in ast.literal_eval(values):
                    answer = gold.strip().strip("$")
                    if spec is NUMERIC and not (re.fullmatch(r"-?[\d.,]+(?:/\d+)?", answer) and parse_number(answer)):
                        continue
                    options = {"digits": more[0]} if more and "precision" in str(names.value) else {}
                    fields = {"answer": gold, "from": getattr(function, "name", "")}
                    yield Item(spec | (options if spec is MATH else {}), fields, completion, float(right))

    return items


SETS: dict[str, tuple[str, str, Callable[[bytes], Iterator[Item]]]] = {
    "gsm8k": ("grade-school-math", "grade_school_math/data/example_model_solutions.jsonl", gsm8k),
    "math-numeric": ("DeepSeek-Coder", "Evaluation/PAL-Math/datasets/math/test.json", math_solutions(NUMERIC)),
    "math-outputs": (
        "Qwen2.5-Math",
        "evaluation/data/eval_rm_maj_example/math_cot_100.jsonl",
        math_outputs(NUMERIC),
    ),
    **{
        f"letters-{name}": ("SDPO", f"datasets/sciknoweval/{name}.json", letters)
        for name in ("biology", "chemistry", "material", "physics")
    },
    "triples-numeric": ("Math-Verify", "tests/test_all.py", triples(NUMERIC)),
    "triples-math": ("Math-Verify", "tests/test_all.py", triples(MATH)),
    "math-outputs-math": ("Qwen2.5-Math", "evaluation/data/eval_rm_maj_example/math_cot_100.jsonl", math_outputs(MATH)),
    "math-solutions-math": ("DeepSeek-Coder", "Evaluation/PAL-Math/datasets/math/test.json", math_solutions(MATH)),
    "human-eval": ("human-eval", "data/HumanEval.jsonl.gz", human_eval),
    "mbpp": ("DeepSeek-Coder", "Evaluation/MBPP/data/mbpp.jsonl", mbpp),
}


def score(item: Item) -> tuple[float, str]:
    """The verifier's score and what it says, as of a rollout."""
    fields = {"answer": None, "tests": (), "fn_name": None} | item.fields
    problem = Problem(
        **{"id": "p", "split": Split.train, "prompt": "?", "answer": fields["answer"]},
        **{"tests": fields["tests"], "fn_name": fields["fn_name"]},
    )
    try:
        verdict = verifier(TypeAdapter(Verifier).validate_python(item.spec))(problem, answer_part(item.completion))
    except JobError as error:
        return -1.0, error.message
    return verdict.score, f"{verdict.note} [{verdict.read}]"


def measure(path: Path, name: str) -> None:
    """Print how many items of a set are scored as they should be."""
    repository, file, make = SETS[name]
    content = of_repository(path, repository, file)
    if content is None:
        print(f"{name:20s} not there: no clone of {repository} with {file} under {path}")
        return
    items = list(make(content))
    started = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() if items[0].spec["kind"] in {"math", "python_tests"} else 1) as pool:
        scored = list(pool.map(score, items))
    wrong = [(item, got) for item, got in zip(items, scored, strict=True) if got[0] != item.right]
    per_second = len(items) / (time.monotonic() - started)
    print(f"{name:20s} {len(items) - len(wrong)} of {len(items)} agree; {per_second:,.0f} a second")
    for item, (got, note) in wrong[: int(os.environ.get("SHOWN", SHOWN))]:
        gold = item.fields.get("answer")
        print(f"    {got:g} for {item.right:g}: {gold!r} / {item.completion[-80:]!r}: {note[:100]}")


def main(path: str, *names: str) -> None:
    """Measure the named sets, or all."""
    for name in names or SETS:
        measure(Path(path), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
