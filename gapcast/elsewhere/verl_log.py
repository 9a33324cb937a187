"""What verl writes by itself of a run, read: its logs, and the generations that it keeps of a validation.

There are two logs. `trainer.logger=["file"]` (verl 0.6 and later) writes lines `{"step": 0, "data": {...}}` to
`VERL_FILE_LOGGER_PATH`, else to `PROJECT/EXPERIMENT.jsonl`. `trainer.logger=["console"]` prints lines
`step:0 - name:value - ...`, behind whatever Ray puts before them. A validation is a step with
`val-core/SOURCE/VARIABLE/mean@N`: the mean over problems of each one's N rollouts. Source: verl 0.7,
verl/utils/tracking.py, verl/utils/logger/aggregate_logger.py, and `_validate` and `_dump_generations` of
verl/trainer/ppo/ray_trainer.py.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MEAN = re.compile(r"val-(?:core|aux)/.+/(?P<variable>[^/]+)/mean@(?P<rollouts>\d+)")
CONSOLE = re.compile(r"(?:^|\s)step:(\d+) - (\S.*)$")
NUMPY = re.compile(r"np\.\w+\((.*)\)")
"""How a numpy scalar prints itself"""
PRINTED = 6e-4
"""Older consoles print three digits after the point"""


class VerlLogError(ValueError):
    """A log does not hold what an observation needs; the message says what, and the way out."""


class RestartedLog(VerlLogError):
    """A log holds the steps of several starts, so its first and its last accuracy may not be of one run."""


@dataclass(frozen=True)
class Validation:
    """The mean accuracy at one step."""

    step: int
    name: str
    """of the metric"""
    accuracy: float
    variable: str
    """whose mean it is, such as acc"""
    rollouts: int
    """of each problem"""


@dataclass(frozen=True)
class Log:
    """What is read of a run's logs."""

    validations: Sequence[Validation]
    """in the order of their steps"""
    last_step: int


def read_log(files: Sequence[Path], metric: str | None = None) -> Log:
    """Read the validations of one run; several files are one run that was resumed.

    Args:
        files: in the order in which they were written.
        metric: the name of the metric; None: the only `val-core/.../mean@N` there is.

    Raises:
        RestartedLog: the steps of a file go back, or a file begins at or before the first step of those before it.
        VerlLogError: there are no steps, no validation, or several metrics to choose from.
        OSError: a file cannot be read.
    """
    steps: dict[int, dict[str, float]] = {}
    for file in files:
        first = min(steps, default=None)
        before: int | None = None
        for line, step, data in _steps(file):
            if before is not None and step < before:
                raise RestartedLog(
                    f"{file}, line {line}: expected a step after {before}, got {step}, so the log starts again there. "
                    "Split it, and give the parts that belong to one run, in order."
                )
            if before is None and first is not None and step <= first:
                raise RestartedLog(
                    f"{file}, line {line}: expected a run that goes on after step {max(steps)} of the log before, got "
                    f"step {step}, so it is another start. Give the logs of one run, in order."
                )
            steps.setdefault(step, {}).update(data)
            before = step
    shown = ", ".join(map(str, files))
    if not steps:
        raise VerlLogError(
            f'{shown}: no line is a step of verl\'s: {{"step": 0, "data": {{...}}}} with trainer.logger=["file"], or '
            '"step:0 - name:value - ..." with trainer.logger=["console"]'
        )
    name = metric or _metric({name for data in steps.values() for name in data}, shown)
    parts = MEAN.fullmatch(name)
    if parts is None:
        raise VerlLogError(f"--metric: {name} is not a val-core/... or val-aux/... mean@N")
    found = [
        Validation(step, name, _accuracy(data[name], step, name), parts["variable"], int(parts["rollouts"]))
        for step, data in sorted(steps.items())
        if name in data
    ]
    if not found:
        raise VerlLogError(f"{shown}: no step has {name}. {_names_of(steps.values())}")
    return Log(found, max(steps))


def first_and_last(log: Log, step: int | None = None) -> tuple[Validation, Validation]:
    """The validations before training and at the end.

    Args:
        log: the run's.
        step: the step that is taken for the end; None: the log's last.

    Raises:
        VerlLogError: one of them is not there.
    """
    first = log.validations[0]
    if first.step != 0:
        raise VerlLogError(
            f"the first validation is at step {first.step}, not 0: how good the student was before training is not "
            "known. Train with trainer.val_before_train=True; for a resumed run give the logs of all its parts"
        )
    steps = [one.step for one in log.validations]
    wanted = log.last_step if step is None else step
    if wanted not in steps or wanted == 0:
        there = ", ".join(map(str, steps[1:])) or "none after step 0"
        raise VerlLogError(
            f"no validation at step {wanted}{'' if step is not None else ', the last of the log'}; there are: "
            f"{there}. The law predicts the improvement at a run's end: for a run that ended early, name it with --step"
        )
    return first, log.validations[steps.index(wanted)]


def read_scores(folder: Path, validation: Validation) -> dict[str, float]:
    """Read every prompt's sum of scores from `STEP.jsonl` of `trainer.validation_data_dir`, checked against the log.

    Raises:
        VerlLogError: the file is not there, is no such file, or says another accuracy than the log.
    """
    file = folder / f"{validation.step}.jsonl"
    key = validation.variable
    values: dict[str, list[float]] = {}
    try:
        lines = file.read_text(encoding="utf-8").rstrip("\n").split("\n")  # a text may hold other ends of lines
    except FileNotFoundError:
        raise VerlLogError(f"{file} is not there: --generations is the folder of trainer.validation_data_dir") from None
    for number, line in enumerate(lines, start=1):
        entry = _json(line)
        if not isinstance(entry, dict) or "input" not in entry or key not in entry:
            raise VerlLogError(f"{file}, line {number}: no object with input and {key}")
        values.setdefault(str(entry["input"]), []).append(_accuracy(entry[key], validation.step, key))
    sizes = {len(scores) for scores in values.values()}
    if sizes != {validation.rollouts}:
        found = " and ".join(map(str, sorted(sizes))) or "no"
        raise VerlLogError(
            f"{file}: {found} rollouts a prompt, {validation.name} says {validation.rollouts}: is a prompt there "
            "twice, or are there several data sources? Leave --generations out and give --problems"
        )
    sums = {prompt: sum(scores) for prompt, scores in values.items()}
    mean = sum(sums.values()) / len(sums) / validation.rollouts
    if not math.isclose(mean, validation.accuracy, abs_tol=PRINTED):
        raise VerlLogError(
            f"{file} holds a mean of {mean:.4f}, the log says {validation.accuracy:.4f}: is it of another run, or of "
            "several data sources? Leave --generations out and give --problems"
        )
    return sums


def _steps(file: Path) -> Iterator[tuple[int, int, dict[str, float]]]:
    """The line, the step and the metrics of each step."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            found = _json(line) if line.startswith("{") else None
            if isinstance(found, dict) and isinstance(found.get("step"), int) and isinstance(found.get("data"), dict):
                yield number, found["step"], found["data"]
                continue
            printed = CONSOLE.search(line.rstrip())
            if printed:
                yield number, int(printed[1]), dict(_printed(printed[2]))


def _printed(text: str) -> Iterator[tuple[str, float]]:
    """The pairs of a line of the console's; what is no number is no metric that is asked for here."""
    for part in text.split(" - "):
        name, _, value = part.rpartition(":")
        wrapped = NUMPY.fullmatch(value)
        try:
            yield name, float(wrapped[1] if wrapped else value)
        except ValueError:
            continue


def _json(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _metric(names: set[str], shown: str) -> str:
    means = sorted(name for name in names if name.startswith("val-core/") and MEAN.fullmatch(name))
    if not means:
        raise VerlLogError(f"{shown}: no validation. {_names_of([dict.fromkeys(names, 0.0)])}")
    if len(means) > 1:
        raise VerlLogError(f"{shown}: several metrics; choose one with --metric: {', '.join(means)}")
    return means[0]


def _names_of(steps: Iterable[Mapping[str, float]]) -> str:
    found = sorted({name for data in steps for name in data if name.startswith("val")})
    shown = f"What begins with val: {', '.join(found[:8])}" if found else "Nothing begins with val"
    return f"{shown}; val-core/SOURCE/VARIABLE/mean@N is needed (trainer.test_freq above 0)"


def _accuracy(value: object, step: int, name: str) -> float:
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise VerlLogError(
            f"step {step}, {name}: {value} is not an accuracy between 0 and 1; name one with --metric, such as the "
            "acc that a reward function of verl's may return beside its score"
        )
    return float(value)
