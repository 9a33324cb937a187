"""A training run in two processes that is stopped, loses one of them, or all: what its supervisor hears."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from service.training_runs.job import KIND
from tests.support.product import alive, children_of, eventually
from tests.support.training import MODEL, configuration_of
from workers.host.child_process import Child, Crashed, Failed
from workers.tasks import load_task

pytestmark = pytest.mark.slow

JOB = {"entry": KIND.entry, "stops_gently": KIND.stops_gently}

Line = dict[str, Any]
Start = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the process of a long run."""
    started: list[Child] = []

    def make(**changes: Any) -> Child:
        options = {"processes": 2, "evaluate_every": 2000, "checkpoint_every": 2000}
        configuration = configuration_of(load_task("lab/addition"), None, {"steps": 2000}, options, **changes)
        resources = {"checkpoint_folder": str(tmp_path / "checkpoints"), "source": {"name": MODEL}}
        job = JOB | {"configuration": configuration.model_dump(mode="json"), "resources": resources}
        started.append(Child(job))
        return started[-1]

    yield make
    for child in started:
        child.kill()


def learning(child: Child) -> Iterator[Line]:
    """Waits for the first step; the child's lines from there on."""
    lines = (line for line in child.lines() if line is not None)
    for line in lines:
        if line.get("event") == "training.metrics":
            return lines
    raise AssertionError("no step was told")


def rest(lines: Iterator[Line]) -> list[Line]:
    """All until the end; each is valid JSON, or reading it would fail."""
    found: list[Line] = []
    with suppress(Crashed):  # nobody reads on after the last line
        for line in lines:
            found.append(line)
    return found


def processes(child: Child) -> dict[str, int]:
    """torchrun's, and by their numbers those of the ranks."""
    (torchrun,) = children_of(child._process.pid)
    found = {"torchrun": torchrun}
    for pid in children_of(torchrun):
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if variable.startswith(b"RANK="):
                found[variable[5:].decode()] = pid
    assert found.keys() == {"torchrun", "0", "1"}
    assert all(map(alive, found.values()))
    return found


def gone(pids: dict[str, int]) -> None:
    eventually(lambda: not any(map(alive, pids.values())), 20)


def test_a_pause_stops_all_after_the_same_step(start: Start) -> None:
    child = start()
    lines = learning(child)
    pids = processes(child)
    child.ask_to_stop()
    *_, checkpoint, paused = rest(lines)
    assert checkpoint["event"] == "training.checkpoint"
    assert paused == {"paused": {"step": checkpoint["data"]["step"], "held": None}}
    assert (Path(checkpoint["data"]["path"]) / "manifest.json").exists()
    gone(pids)


KILLED = "code -9 and without a result|memory was full"
"""What is said of a child that is killed: the supervisor tries again, from the last checkpoint."""


@pytest.mark.parametrize(
    ("rank", "sent", "told"), [("0", signal.SIGKILL, KILLED), ("1", signal.SIGSEGV, "processes ended by signal 11;")]
)
def test_a_rank_that_dies_is_a_crash_of_the_job(start: Start, rank: str, sent: signal.Signals, told: str) -> None:
    child = start()
    lines = learning(child)
    pids = processes(child)
    os.kill(pids[rank], sent)
    with pytest.raises((Crashed, Failed), match=told):
        list(lines)
    gone(pids)


def test_nothing_outlives_the_process_group(start: Start) -> None:
    child = start()
    learning(child)
    pids = processes(child)
    os.kill(child._process.pid, signal.SIGKILL)  # as a worker's end does it; its group is not even needed
    gone(pids)


def test_what_all_ranks_refuse_is_told_as_one_process_tells_it(start: Start) -> None:
    child = start(model_revision="sha256:" + "0" * 64)
    lines = (line for line in child.lines() if line is not None)
    error = next(line["error"] for line in lines if "error" in line)
    assert error["code"] == "model_revision_mismatch"
