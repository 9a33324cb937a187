"""Past runs as their trainers and trackers keep them, one record each, which an import translates into observations.

A record is flat. It holds the run's configuration, each metric's last value (`eval/acc`) and its first
(`eval/acc@first`), `ID` and `Name`, and from the accuracies by step `before`, `after` and a curve.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gapcast.elsewhere import mlflow_run, wandb_run
from gapcast.elsewhere.looks import (
    PARTS,
    STEPS,
    TRAINER_STATE,
    Form,
    LogError,
    Looks,
    Row,
    form_of,
    looks_of,
    read_looks,
    rows_of,
)

Record = dict[str, object]

OUTCOMES = {"after", "improvement", "improvement.value", "held_out", "held_out.value"}
"""fields of which one says what came of a run: the accuracies by step are then not asked for"""
GAPS = {"teacher", "gap", "gap.value"}
TEACHERS = ("self_distillation/teacher_accuracy", "eval_self_distillation/teacher_accuracy")
"""what `gapcast.elsewhere.trl_forecast` logs"""
OF_A_ROW = {"family", "gap", "gap.value", "improvement", "improvement.value", "context_kind"}
"""keys of a line that is an observation, and not a step of a run"""
NAMES = {"ID": "external_id", "Name": "name"}
"""of a record, and the fields that they are where nothing else is said"""
CURVE_NEEDS = (("problems", "improvement.problems"), ("rollouts", "improvement.rollouts"))
DIGITS = 12


@dataclass(frozen=True)
class PastRun:
    """What is read of a run.

    Attributes:
        where: the file or folder. id: unique, and the same whenever the run is read. name: people's.
        about: its configuration, and what else is known once.
        rows: what it has logged; of verl's log nothing but `looks` is read.
    """

    where: str
    id: str
    name: str
    about: Mapping[str, object] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    looks: Looks | None = None


@dataclass(frozen=True)
class Wanted:
    """What is asked of the records.

    Attributes:
        parts: the metric of `step` and `accuracy`, of those that are not to be found by their name.
        fields: fields of an observation that a column or a default gives.
        percent: accuracies are in percent, and stay so.
    """

    parts: Mapping[str, str]
    fields: frozenset[str]
    percent: bool = False

    @classmethod
    def of(cls, fields: Mapping[str, str], defaults: Mapping[str, str], *, percent: bool) -> "Wanted":
        """From the field of each column, and the fields that rows lack."""
        parts = {part: column for column, part in fields.items() if part in PARTS}
        return cls(parts, frozenset({*fields.values(), *defaults} - {*PARTS}), percent)


def is_table(path: Path) -> bool:
    """Return True if a file holds a row a run, and not the log of one.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_dir() or path.suffix == ".wandb" or path.name == TRAINER_STATE:
        return False
    if path.suffix in {".csv", ".parquet"}:
        return True
    if path.suffix == ".json":
        return not _is_state(path)
    with path.open(encoding="utf-8", errors="replace") as lines:
        first = next((line for line in lines if line.strip()), "")
    try:
        row = json.loads(first)
    except ValueError:
        row = None
    if path.suffix in {".jsonl", ".ndjson"}:
        return not isinstance(row, dict) or not OF_A_ROW.isdisjoint(row) or row.keys().isdisjoint(STEPS)
    return False


def _is_state(path: Path) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(found, dict) and "log_history" in found


def read_runs(path: Path, form: Form | None = None) -> list[PastRun]:
    """Read the runs of a file or folder: several of `wandb/` and `mlruns/`, else one.

    Raises:
        ValueError: it does not hold what it should.
        OSError: it cannot be read.
    """
    if form in {None, "wandb"} and (found := wandb_run.files(path) if path.is_dir() else []):
        return [_of_wandb(file) for file in found]
    if form in {None, "mlflow"} and (folders := [*mlflow_run.folders(path)] if path.is_dir() else []):
        return [_of_mlflow(folder) for folder in folders]
    if path.is_dir():
        inner = next((path / name for name in (TRAINER_STATE, "metrics.jsonl") if (path / name).exists()), None)
        if inner is None:
            raise LogError(
                f"{path}: expected a folder of W&B or MLflow runs, a {TRAINER_STATE} or a metrics.jsonl in it, got "
                "none of them."
            )
        path = inner
    kind = form or ("trl" if path.suffix == ".json" else form_of(path))
    if kind == "wandb":
        return [_of_wandb(path)]
    return [_of_file(path, kind)]


def _of_wandb(file: Path) -> PastRun:
    run = wandb_run.read_run(file)
    rows = [(f"row {number}", row) for number, row in enumerate(run.history, start=1)]
    return PastRun(str(file), run.id, run.name or run.id, dict(flat(run.config)), rows)


def _of_mlflow(folder: Path) -> PastRun:
    run = mlflow_run.read_run(folder)
    rows = [(f"step {row['step']}", row) for row in run.history]
    return PastRun(str(folder), run.id, run.name or run.id, run.params, rows)


def _of_file(path: Path, form: Form) -> PastRun:
    folder = path.resolve().parent
    named = folder.parent if folder.name.startswith("checkpoint-") else folder
    name = path.stem if form in {"verl", "csv"} else named.name
    found = f"{form}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    if form == "verl":
        return PastRun(str(path), found, name, looks=read_looks(path, form, {}))
    beside = path.with_name("config.json")  # tinker's
    about = json.loads(beside.read_text(encoding="utf-8")) if form == "jsonl" and beside.exists() else {}
    return PastRun(str(path), found, name, dict(flat(about)), rows_of(path, form)[0])


def record_of(run: PastRun, wanted: Wanted) -> Record:
    """Return a run as a flat record.

    Raises:
        LogError: its accuracies by step cannot be read, and nothing else says what came of it.
    """
    record = {name: value for name, value in run.about.items() if _is_cell(value)}
    for _, row in run.rows:
        for name, value in row.items():
            if _is_cell(value):
                record.setdefault(f"{name}@first", value)
                record[name] = value
    if wanted.fields.isdisjoint(OUTCOMES):
        record |= _outcome(run, record, wanted)
    teacher = next((name for name in TEACHERS if name in record), None)
    if teacher is not None and wanted.fields.isdisjoint(GAPS):
        record["teacher"] = record[f"{teacher}@first"]
    return record | {"ID": run.id, "Name": run.name}


def _outcome(run: PastRun, record: Record, wanted: Wanted) -> Record:
    """The accuracies before and after, and the ones between where an error can be assumed for them."""
    columns = list(dict.fromkeys(name for _, row in run.rows for name in row))
    found = run.looks or looks_of(run.where, run.rows, columns, wanted.parts, percent=wanted.percent)
    if found is None:
        return {}
    scale = 100 if wanted.percent else 1

    def shown(accuracy: float) -> float:
        return round(accuracy * scale, DIGITS)

    last = found.looks[-1]
    made: Record = {"after": shown(last.accuracy)}
    looks = [look for look in found.looks if look.step > 0]
    if found.looks[0].step == 0:
        made["before"] = shown(found.looks[0].accuracy)
    elif wanted.fields.isdisjoint({"before", "baseline"}):
        raise LogError(
            f"{found.looks[0].where}: expected the accuracy before training at step 0, got step {found.looks[0].step} "
            "first. Give it with --defaults before=..., or name its column with --map COLUMN=before."
        )
    if not looks:
        raise LogError(f"{run.where}: expected an accuracy after step 0, got none.")
    if found.rollouts is not None and "rollouts" not in wanted.fields:
        made["rollouts"] = found.rollouts
    known = {*wanted.fields, *record, *made}
    if all(not known.isdisjoint(names) for names in CURVE_NEEDS):
        made |= {f"accuracy@{look.step}": shown(look.accuracy) for look in looks}
    if "recipe.teacher" in known and "recipe.steps" not in known:
        made["recipe.steps"] = last.step
    return made


def flat(values: Mapping[str, object], at: str = "") -> Iterator[tuple[str, object]]:
    """Yield nested values by their paths, `{"context": {"kind": 1}}` as `context.kind`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{at}{name}.")
        else:
            yield f"{at}{name}", value


def _is_cell(value: object) -> bool:
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
