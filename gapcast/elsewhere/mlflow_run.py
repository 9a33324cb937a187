"""The runs of an MLflow folder (`mlruns/EXPERIMENT/RUN`), read from its files.

A run's folder holds `meta.yaml`, a file for each of its `params`, and one for each of its `metrics` with lines
`timestamp value step`. Source: mlflow 3.17, mlflow/store/tracking/file_store.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

META = "meta.yaml"

Row = dict[str, object]


@dataclass(frozen=True)
class MlflowRun:
    """What is read of a run; its history has a row a step, which is its `step`."""

    id: str
    name: str
    params: Row
    history: list[Row]


def folders(path: Path) -> Iterator[Path]:
    """Yield the folders of the runs in a folder: those of experiments, of one, or of a run alone; none deleted."""
    for depth in ("", "*/", "*/*/"):
        for meta in sorted(path.glob(f"{depth}{META}")):
            about = _meta(meta)
            if "run_id" in about and about.get("lifecycle_stage") != "deleted" and ".trash" not in meta.parts:
                yield meta.parent


def read_run(folder: Path) -> MlflowRun:
    """Read a run.

    Raises:
        ValueError: the folder is not that of a run, or a metric's line is not one.
        OSError: a file cannot be read.
    """
    about = _meta(folder / META)
    if "run_id" not in about:
        raise ValueError(f"{folder}: expected the folder of one run, such as mlruns/0/3f2a..., got another one.")
    steps: dict[int, Row] = {}
    for name, file in _named(folder / "metrics"):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                _, value, step = line.split()[:3]
                steps.setdefault(int(step), {"step": int(step)})[name] = float(value)
            except ValueError:
                raise ValueError(f"{file}:{number}: expected a time, a value and a step, got {line[:80]!r}.") from None
    params: Row = {name: file.read_text(encoding="utf-8").strip() for name, file in _named(folder / "params")}
    return MlflowRun(
        str(about["run_id"]), str(about.get("run_name") or ""), params, [steps[one] for one in sorted(steps)]
    )


def _named(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of a folder by their names, in which a slash is a folder."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file


def _meta(file: Path) -> Row:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except yaml.YAMLError:
        raise ValueError(f"{file}: expected YAML, got something else.") from None
    return found if isinstance(found, dict) else {}
