"""Starts torchrun for a training run, passes on what it says, and tells how it ended."""

import json
import os
import selectors
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import Held, TrainingResult
from gapcast.launching import module_command, safe_environment
from workers.failures import JobError, Paused, RankDied
from workers.ranks.places import ERROR, JOB, SIGNALLED, STOP
from workers.resources import Resources
from workers.work import Line

TICK = 0.2
"""seconds between looks whether to stop while the run is silent"""


def run_on_ranks(
    configuration: TrainingConfiguration,
    resources: Resources,
    write: Callable[[Line], None],
    stop: Callable[[], bool],
) -> TrainingResult:
    """`run_training` in `options.processes` processes of this machine; each takes one GPU, where there are any.

    `write` gets the lines of its events as the first rank has written them.

    Raises:
        JobError: of any rank.
        Paused: all have stopped after the same step, and its checkpoint is written.
        RankDied: one ended without a word.
    """
    # among the checkpoints, because what a killed process leaves there is removed when the job has ended
    place = resources.checkpoint_folder
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".ranks-", dir=place) as name:
        folder = Path(name)
        job = {"configuration": configuration.model_dump(mode="json"), "resources": asdict(resources)}
        (folder / JOB).write_text(json.dumps(job, default=str))
        torchrun = subprocess.Popen(
            module_command("workers.ranks.torchrun", str(os.getpid()), str(configuration.options.processes), name),
            env=safe_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        last: Line = {}
        try:
            for line in _lines(torchrun.stdout):
                if stop():
                    (folder / STOP).touch()
                if line is None:
                    continue
                if "event" in line:
                    write(line)
                else:
                    last = line
            code = torchrun.wait()
        finally:
            torchrun.kill()  # and with it the ranks, where something went wrong here
            torchrun.wait()
        if "paused" in last:
            paused = last["paused"]
            raise Paused(paused["step"], Held.model_validate(paused["held"]) if paused["held"] is not None else None)
        if "result" not in last:
            raise _failure(folder, code)
        return TrainingResult.model_validate(last["result"])


def _lines(pipe: IO[bytes] | None) -> Iterator[Line | None]:
    """Each whole line, and None at least every TICK seconds. What a killed process has left unfinished is dropped."""
    if pipe is None:
        raise ValueError("torchrun has no standard output")
    buffer = b""
    with pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(TICK):
                yield None
                continue
            chunk = os.read(pipe.fileno(), 1 << 16)
            if not chunk:
                return
            *whole, buffer = (buffer + chunk).split(b"\n")
            yield from map(json.loads, whole)


def _failure(folder: Path, code: int) -> Exception:
    """What a rank says of itself, the first first; but where one was killed, what the others say of it is no cause."""
    files = sorted(folder.glob(ERROR), key=lambda file: file.stat().st_mtime_ns)
    errors = [json.loads(file.read_text()) for file in files]
    told = [error for error in errors if error["code"] != "internal_error"]
    if code > SIGNALLED and not told:
        return RankDied(code - SIGNALLED)
    if told or errors:
        return JobError(**(told or errors)[0])
    return RankDied(-code if code < 0 else None)
