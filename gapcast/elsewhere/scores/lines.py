"""Files of rows: what they are, and the plain ones, a CSV table or lines of JSON with a problem and a score."""

import csv
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gapcast.contract.nearest import did_you_mean

Form = Literal["csv", "jsonl", "verifiers", "inspect", "lm-eval", "verl"]

PROBLEMS = ("problem", "problem_id", "id", "task_id", "question_id", "example_id", "doc_id", "index", "idx")
SCORES = ("score", "scores", "reward", "accuracy", "acc", "correct", "is_correct", "passed", "exact_match")
"""names of fields, by which they are found where nobody names them; the first that is there counts"""
MOST_LINE = 1 << 26
"""characters of a line: a trace of a long conversation has some millions"""


class ScoresError(ValueError):
    """A file does not hold the scores of an evaluation; the message says where, and the way out."""


class Row(NamedTuple):
    """One rollout: where it stands, its problem, and its score as it is written."""

    where: str
    problem: str
    score: object


def form_of(path: Path) -> Form:
    """Tell what a file is by its name, or by its first line.

    Raises:
        ScoresError: it is none of what can be read.
        OSError: it cannot be read.
    """
    if path.suffix == ".eval" or zipfile.is_zipfile(path):
        return "inspect"
    if path.suffix in {".csv", ".tsv"}:
        return "csv"
    first = next(iter(objects(path)), None)
    if first is not None:
        row = first[1]
        if isinstance(row.get("traces"), list):
            return "verifiers"
        if "doc_id" in row and "filtered_resps" in row:
            return "lm-eval"
        if "input" in row and "output" in row and "gts" in row:
            return "verl"
        if isinstance(row.get("eval"), dict) and "samples" in row:
            return "inspect"
        if not row.keys().isdisjoint(PROBLEMS) or not row.keys().isdisjoint(SCORES):
            return "jsonl"
    raise ScoresError(
        f"{path}: expected a CSV table or lines of JSON with a problem and a score, traces.jsonl of verifiers, a log "
        "of inspect-ai, samples of lm-eval, or generations of verl, got none of them. Name what it is with --format."
    )


def objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a file with lines of JSON, or of one JSON document, and where each stands.

    Raises:
        ScoresError: a line is not an object.
        OSError: the file cannot be read.
    """
    if path.suffix == ".json":
        found = _json(str(path), path.read_text(encoding="utf-8-sig", errors="replace"))
        for number, row in enumerate(found if isinstance(found, list) else [found], start=1):
            yield _object(f"{path}, item {number}", row)
        return
    with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(MOST_LINE), ""), start=1):
            if len(line) == MOST_LINE:
                raise ScoresError(f"{path}, line {number}: expected at most {MOST_LINE} characters, got more.")
            if line.strip():
                where = f"{path}, line {number}"
                yield _object(where, _json(where, line))


def _object(where: str, row: object) -> tuple[str, dict[str, Any]]:
    if not isinstance(row, dict):
        raise ScoresError(f"{where}: expected a JSON object, got {type(row).__name__}.")
    return where, row


def _json(where: str, text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScoresError(f"{where}: expected JSON, got something else ({error}).") from None


def table_rows(path: Path, names: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rollouts of a CSV table, or of lines of JSON; a list of scores is several rollouts of a problem.

    Raises:
        ScoresError: the table does not exist, or does not have a column of this name.
        OSError: the file cannot be read.
    """
    for where, row in _table(path) if path.suffix in {".csv", ".tsv"} else objects(path):
        problem = field(where, row, names, "problem", PROBLEMS)
        scores = field(where, row, names, "score", SCORES)
        for score in scores if isinstance(scores, list) else [scores]:
            yield Row(where, name_of(where, problem), score)


def _table(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        reader = csv.DictReader(lines, delimiter="\t" if path.suffix == ".tsv" else ",")
        try:
            for row in reader:
                yield f"{path}, line {reader.line_num}", {str(name): value for name, value in row.items()}
        except csv.Error as error:
            raise ScoresError(f"{path}, line {reader.line_num}: expected CSV, got something else ({error}).") from None


def field(where: str, row: Mapping[str, Any], names: Mapping[str, str], part: str, usual: Iterable[str]) -> Any:  # noqa: ANN401
    """Return a row's problem or score, by its name or by a usual one.

    Raises:
        ScoresError: it has neither.
    """
    wanted = [names[part]] if part in names else list(usual)
    name = next((one for one in wanted if one in row), None)
    if name is None:
        expected = f"the field {wanted[0]}" if part in names else f"one of the fields {', '.join(wanted)}"
        near = did_you_mean(wanted[0], list(row)) if part in names else ""
        raise ScoresError(
            f"{where}: expected {expected}, got {', '.join(list(row)[:12]) or 'nothing'}.{near} Name the field with "
            f"--map {part}=NAME."
        )
    return row[name]


def name_of(where: str, problem: object) -> str:
    """Return a problem's name as a text.

    Raises:
        ScoresError: it has none.
    """
    if problem is None or problem == "":
        raise ScoresError(f"{where}: expected the name of a problem, got nothing. Add it.")
    return problem if isinstance(problem, str) else json.dumps(problem, sort_keys=True, ensure_ascii=False)
