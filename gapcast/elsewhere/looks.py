"""The looks of a run that another program trains, read from what it writes: a table, a log, a run's folder.

What is read is read whole each time: such files are small, and a program may rewrite them.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gapcast.contract.nearest import did_you_mean
from gapcast.elsewhere.mlflow_run import META, read_run
from gapcast.elsewhere.verl_log import RestartedLog, VerlLogError, read_log
from gapcast.elsewhere.wandb_run import history

Form = Literal["csv", "jsonl", "verl", "wandb", "trl", "mlflow"]

TRAINER_STATE = "trainer_state.json"

STEPS = (
    "step",
    "steps",
    "global_step",
    "trainer/global_step",
    "train/global_step",
    "optimizer_step",
    "iteration",
    "_step",
)
ACCURACIES = (
    *("accuracy", "acc", "eval/accuracy", "eval_accuracy", "val/accuracy", "val_accuracy", "eval/acc", "eval_acc"),
    *("self_distillation/student_accuracy", "eval_self_distillation/student_accuracy"),
)
"""names of columns, by which they are found where nobody names them; the first that is there counts"""
ERRORS = ("se", "stderr", "accuracy_se", "accuracy_stderr")
MEAN_OF = re.compile(r"(?:eval|val-core|val-aux)/.+/(?:avg|mean)@(\d+)")
"""prime-rl's and verl's names of the mean over problems of each one's N rollouts (prime-rl: orchestrator/eval_utils.py
and utils/monitor/file.py)"""
PARTS = ("step", "accuracy", "se")
"""of a look, which `names` may map to columns"""


class LogError(ValueError):
    """A file does not hold the looks of a run; the message says where, and the way out."""


@dataclass(frozen=True)
class Look:
    """One evaluation.

    Attributes:
        step: optimizer steps done; 0: before training. accuracy: a share.
        se: its standard error over rollouts; None: not written.
        where: the place in the file.
    """

    step: int
    accuracy: float
    se: float | None
    where: str


@dataclass(frozen=True)
class Looks:
    """What was read of a run.

    Attributes:
        looks: in order of step, a baseline at step 0 among them.
        metric: the name of the accuracy.
        rollouts: of each problem, where the metric's name says it.
    """

    looks: Sequence[Look]
    metric: str
    rollouts: int | None = None


Row = tuple[str, Mapping[str, object]]
"""where a row stands, and its values"""


def form_of(path: Path) -> Form:
    """Tell what a file is by its name, or by its first lines.

    Raises:
        LogError: it is none of what can be read.
        OSError: it cannot be read.
    """
    if path.is_dir() and (path / META).exists():
        return "mlflow"
    if path.is_dir() or path.suffix == ".wandb":
        return "wandb"
    if path.name == TRAINER_STATE:
        return "trl"
    if path.suffix in {".csv", ".tsv"}:
        return "csv"
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line, _ in zip(lines, range(200), strict=False):
            found = _json(line)
            if isinstance(found, dict) and not found.keys().isdisjoint(STEPS):
                return "verl" if isinstance(found.get("data"), dict) else "jsonl"
            if re.search(r"(?:^|\s)step:\d+ - ", line):
                return "verl"
    raise LogError(
        f"{path}: expected a CSV file, lines of JSON with a step (prime-rl's or tinker's metrics.jsonl), a log of "
        "verl's, a trainer_state.json, or the folder of a W&B or MLflow run, got none of them. Name what it is with "
        "--format."
    )


def read_looks(
    path: Path,
    form: Form,
    names: Mapping[str, str],
    *,
    percent: bool = False,
    growing: bool = False,
    metric: str | None = None,
) -> Looks | None:
    """Read the looks of a run.

    Args:
        path: the file, or the folder of a W&B run.
        form: what it is.
        names: the column, or metric, of `step`, `accuracy` and `se`, of those that are not to be found by their name.
        percent: accuracies are in per cent.
        growing: somebody is writing it: a last line without an end is not read yet.
        metric: the same as `names["accuracy"]`, for logs.

    Returns:
        None: a growing file holds no look yet.

    Raises:
        LogError: it does not hold the looks of a run.
        OSError: it cannot be read.
    """
    wanted = dict(names) | ({"accuracy": metric} if metric is not None else {})
    if form == "verl":
        return _verl(path, wanted.get("accuracy"), growing=growing)
    rows, columns = rows_of(path, form, growing=growing)
    if growing and (not columns or (form != "csv" and "accuracy" not in _columns(path, columns, wanted))):
        return None  # the first evaluation is still to come
    return looks_of(path, rows, columns, wanted, percent=percent, growing=growing)


def looks_of(
    path: Path | str,
    rows: Sequence[Row],
    columns: Sequence[str],
    names: Mapping[str, str],
    *,
    percent: bool = False,
    growing: bool = False,
) -> Looks | None:
    """Return the looks that rows hold; arguments and errors as those of `read_looks`."""
    chosen = _columns(path, columns, names)
    if "accuracy" not in chosen:
        raise LogError(_no_column(path, "accuracy", columns, ACCURACIES))
    looks = list(_looks(path, rows, chosen, percent=percent))
    of_mean = MEAN_OF.fullmatch(chosen["accuracy"])
    if not looks and not growing:
        raise LogError(f"{path}: expected lines with {chosen['step']} and {chosen['accuracy']}, got none.")
    return Looks(looks, chosen["accuracy"], int(of_mean[1]) if of_mean else None) if looks else None


def _verl(path: Path, metric: str | None, *, growing: bool) -> Looks | None:
    try:
        log = read_log([path], metric)
    except RestartedLog as error:
        raise LogError(str(error)) from None
    except VerlLogError as error:
        if growing and metric is None:
            return None
        raise LogError(str(error)) from None
    found = [Look(one.step, one.accuracy, None, f"step {one.step}") for one in log.validations]
    first = log.validations[0]
    return Looks(found, first.name, first.rollouts)


def rows_of(path: Path, form: Form, *, growing: bool = False) -> tuple[list[Row], list[str]]:
    """Return the rows of a file, and the names of their columns; raises as `read_looks` does."""
    if form in {"wandb", "trl", "mlflow"}:
        found = history(path) if form == "wandb" else log_history(path) if form == "trl" else read_run(path).history
        rows: list[Row] = [(f"row {number}", row) for number, row in enumerate(found, start=1)]
    else:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        if growing:
            text = text[: text.rfind("\n") + 1]
        if form == "csv":
            return _table(path, text)
        rows = list(_lines(text))
    return rows, [*dict.fromkeys(name for _, row in rows for name in row)]


def log_history(path: Path) -> list[Mapping[str, object]]:
    """Return what a trainer of transformers or TRL has logged into its `trainer_state.json`.

    Raises:
        LogError: it is not such a file.
        OSError: it cannot be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LogError(f"{path}: expected JSON, got something else ({error}).") from None
    rows = found.get("log_history") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise LogError(f"{path}: expected log_history, a list of what a trainer has logged, got none.")
    return rows


def _table(path: Path, text: str) -> tuple[list[Row], list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix == ".tsv" else ",")
    header = [name.strip() for name in next(reader, [])]
    rows: list[Row] = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise LogError(
                f"{path}:{reader.line_num}: expected {len(header)} cells, one for each column of the header, got "
                f"{len(cells)}."
            )
        rows.append((f"{reader.line_num}", dict(zip(header, map(str.strip, cells), strict=True))))
    return rows, header


def _lines(text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        found = _json(line)
        if isinstance(found, dict):
            yield f"{number}", found


def _json(line: str) -> object:
    if not line.lstrip().startswith("{"):
        return None
    try:
        return json.loads(line)
    except ValueError:
        return None


def _columns(path: Path | str, columns: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    """Choose the column of each part of a look."""
    chosen = {}
    for part, known in zip(PARTS, (STEPS, ACCURACIES, ERRORS), strict=True):
        if part in names:
            if names[part] not in columns:
                near = did_you_mean(names[part], columns)
                raise LogError(f"{path}: --map {part}: {names[part]!r} is not a column.{near} {_there(columns)}")
            chosen[part] = names[part]
            continue
        found = [name for name in known if name in columns]
        means = [name for name in columns if MEAN_OF.fullmatch(name)] if part == "accuracy" else []
        if not found and len(means) > 1:
            raise LogError(f"{path}: several metrics. Choose one with --map accuracy=NAME: {', '.join(means)}")
        if found or means:
            chosen[part] = (found or means)[0]
        elif part == "step":
            raise LogError(_no_column(path, part, columns, known))
    return chosen


def _no_column(path: Path | str, part: str, columns: Sequence[str], known: Sequence[str]) -> str:
    return (
        f"{path}: expected a column of the {part}, such as {known[0]}, got none. {_there(columns)} Name it with --map "
        f"{part}=NAME."
    )


def _there(columns: Sequence[str], most: int = 20) -> str:
    more = f" and {len(columns) - most} more" if len(columns) > most else ""
    return f"The columns are {', '.join(columns[:most])}{more}." if columns else "The file has no columns."


def _looks(path: Path | str, rows: Iterable[Row], chosen: Mapping[str, str], *, percent: bool) -> Iterator[Look]:
    """Rows that hold an accuracy, each step once.

    Raises:
        LogError: a value is no number, or no share, or the steps do not grow.
    """
    last: Look | None = None
    for where, row in rows:
        at = f"{path}:{where}" if where.isdecimal() else f"{path}, {where}"
        values = {part: _number(at, name, row.get(name)) for part, name in chosen.items()}
        step, accuracy, se = (values.get(part) for part in PARTS)
        if accuracy is None:
            continue
        if step is None or step != int(step) or step < 0:
            raise LogError(
                f"{at}: {chosen['step']}: expected a whole number of steps, got {row.get(chosen['step'])!r}."
            )
        scale = 100 if percent else 1
        look = Look(int(step), accuracy / scale, se / scale if se is not None else None, at)
        if not 0 <= look.accuracy <= 1:
            most = "100 per cent" if percent else "1"
            hint = " Add --percent if it is in per cent." if not percent and 1 < accuracy <= 100 else ""
            raise LogError(f"{at}: {chosen['accuracy']}: expected a share from 0 to {most}, got {accuracy:g}.{hint}")
        if last is not None and look.step < last.step:
            raise LogError(
                f"{at}: {chosen['step']}: expected a step after {last.step}, got {look.step}. Sort the rows, or leave "
                "out those of an earlier start."
            )
        if last is not None and look.step == last.step:
            if look.accuracy != last.accuracy:
                raise LogError(
                    f"{at}: {chosen['step']}: step {look.step} is there twice, with {last.accuracy:g} and "
                    f"{look.accuracy:g}. Leave one of them out."
                )
            continue
        yield look
        last = look


def _number(at: str, name: str, value: object) -> float | None:
    """A number; None for an empty cell and NaN, with which loggers fill rows of other metrics."""
    if value is None or value == "":
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) else math.inf
    except ValueError:
        number = math.inf
    if math.isinf(number):
        raise LogError(f"{at}: {name}: expected a number, got {value!r}.")
    return None if math.isnan(number) else number
