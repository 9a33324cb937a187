"""A training run that is killed, stopped or paused in the middle goes on, and comes out as if it never had been."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gapcast import Client
from tests.support.product import QUICK, Process, alive, ask, children_of, descendants, eventually, serving, working

pytestmark = pytest.mark.slow

Body = dict[str, Any]
Run = Callable[..., Body]

BODY: Body = {
    "model": {"name": "lab/addition-qwen3-s"},
    "task": "lab/addition",
    "context": {"kind": "hints", "options": {"level": 3}},
    "recipe": {"steps": 60, "teacher": "ema", "schedule": "cosine"},
    "probe": {"rollouts": 2},
    "training": {"problems": 32, "held_out_problems": 8, "checkpoint_every": 5, "evaluate_every": 20},
}
"""Some seconds of training, with a teacher, an optimizer and a schedule that a checkpoint must hold."""
MEASURED = ("baseline", "gap", "improvement", "evaluations", "collapsed", "stopped_by")


def path_of(run: Body, more: str = "") -> str:
    return f"/v1/training_runs/{run['id']}{more}"


def events(client: Client, run: Body) -> list[Body]:
    page: list[Body] = ask(client, "GET", path_of(run, "/events"), params={"limit": 500})["data"]
    return page


def told(client: Client, run: Body, kind: str) -> list[Body]:
    return [one["data"] for one in events(client, run) if one["type"] == kind]


def reached(client: Client, run: Body, step: int) -> None:
    """Wait until a checkpoint of this step or a later one is published."""
    eventually(lambda: any(one["step"] >= step for one in told(client, run, "training.checkpoint")), 120)


def ended(client: Client, run: Body, seconds: float = 180) -> Body:
    """Wait until a run has ended; one that does not shows its events and the processes that should end it."""

    def known() -> str:
        told = [f"{one['created_at']} {one['type']} {one['data']}" for one in events(client, run)]
        return "\n".join([str(ask(client, "GET", path_of(run))), *told, *descendants(os.getpid())])

    def look() -> Body | None:
        found: Body = ask(client, "GET", path_of(run))
        return found if found["status"] in {"succeeded", "failed", "cancelled", "dead"} else None

    return eventually(look, seconds, known=known)


def worker_of(server: Process) -> int:
    return next(pid for pid in children_of(server.process.pid) if children_of(pid))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Body:
    """The same run, left alone."""
    with serving(tmp_path_factory.mktemp("undisturbed"), {}) as (client, _):
        return ended(client, ask(client, "POST", "/v1/training_runs", json=BODY))


@pytest.fixture
def check(undisturbed: Body) -> Callable[[Client, Body], None]:
    """The run has come to what it would have come to alone, and left one observation."""

    def checked(client: Client, run: Body) -> None:
        found = ended(client, run)
        assert found["status"] == "succeeded", found["error"]
        assert {name: found[name] for name in MEASURED} == {name: undisturbed[name] for name in MEASURED}
        kinds = [one["type"] for one in events(client, run)]
        assert (kinds.count("job.succeeded"), kinds.count("training_run.succeeded")) == (1, 1)
        listed = ask(client, "GET", "/v1/observations", params={"source": "training"})["data"]
        assert [one["id"] for one in listed] == [found["observation_id"]]

    return checked


@pytest.fixture
def product(tmp_path: Path) -> Iterator[tuple[Client, Process, Body]]:
    """A server with its worker, and a run that waits."""
    with serving(tmp_path, QUICK) as (client, server):
        yield client, server, ask(client, "POST", "/v1/training_runs", json=BODY)


Product = tuple[Client, Process, Body]
Check = Callable[[Client, Body], None]


def resumed_at(client: Client, run: Body) -> int:
    (resumed,) = told(client, run, "training.resumed")
    step: int = resumed["step"]
    return step


def test_a_worker_killed_in_the_middle(product: Product, check: Check) -> None:
    client, server, run = product
    reached(client, run, 10)
    worker = worker_of(server)
    child = children_of(worker)[0]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not alive(child), 10)
    check(client, run)
    assert [one["attempt"] for one in told(client, run, "job.started")] == [1, 2]
    assert resumed_at(client, run) >= 10


def test_a_child_killed_in_the_middle(product: Product, check: Check) -> None:
    client, server, run = product
    reached(client, run, 10)
    os.kill(children_of(worker_of(server))[0], signal.SIGKILL)
    check(client, run)
    assert len(told(client, run, "job.retrying")) == 1
    assert resumed_at(client, run) >= 10


def test_paused_and_resumed(product: Product, check: Check, tmp_path: Path) -> None:
    client, server, run = product
    reached(client, run, 5)
    child = children_of(worker_of(server))[0]
    ask(client, "POST", path_of(run, "/pause"))
    eventually(lambda: ask(client, "GET", path_of(run))["status"] == "paused", 20)
    eventually(lambda: not alive(child), 10)
    (paused,) = told(client, run, "job.paused")
    shown = ask(client, "GET", path_of(run))
    assert paused["step"] == shown["checkpoint"]["step"] > 0
    newest = ask(client, "GET", path_of(run, "/checkpoints"))["data"][0]
    assert (Path(newest["path"]) / "manifest.json").exists()
    assert Path(newest["path"]).name == f"step_{paused['step']}"
    assert Path(newest["path"]).is_relative_to(tmp_path / "data" / "training")
    ask(client, "POST", path_of(run, "/resume"))
    check(client, run)
    assert resumed_at(client, run) == paused["step"]
    folder = tmp_path / "data" / "training"
    eventually(lambda: not list(folder.iterdir()), 20)
    assert Path(ended(client, run)["artifact"]["path"]).is_dir()


def test_a_stopped_worker_saves_the_run_and_hands_it_back(tmp_path: Path, check: Check) -> None:
    # a stop that were counted as a failure would end the run
    settings = {"GAPCAST_DATA_DIR": str(tmp_path / "data"), "GAPCAST_WORKER": "off", "GAPCAST_MAX_FAILURES": "1"}
    with serving(tmp_path, settings) as (client, _):
        with working(tmp_path, settings, "first") as first:
            run = ask(client, "POST", "/v1/training_runs", json=BODY)
            reached(client, run, 5)
            assert first.stop() == 0
        (handed,) = told(client, run, "job.handed_back")
        assert handed["step"] > 0
        with working(tmp_path, settings, "second"):
            check(client, run)
        assert resumed_at(client, run) == handed["step"]
        workers = [one["worker"] for one in told(client, run, "job.started")]
        assert len(set(workers)) == len(workers) == 2


def test_a_frozen_worker_loses_the_run_and_writes_nothing_when_it_wakes(tmp_path: Path, check: Check) -> None:
    settings = QUICK | {"GAPCAST_DATA_DIR": str(tmp_path / "data"), "GAPCAST_WORKER": "off"}
    with serving(tmp_path, settings) as (client, _), working(tmp_path, settings, "first") as first:
        run = ask(client, "POST", "/v1/training_runs", json=BODY)
        reached(client, run, 5)
        os.kill(first.process.pid, signal.SIGSTOP)  # its child goes on, and has much to say when it wakes
        with working(tmp_path, settings, "second"):
            eventually(lambda: len(told(client, run, "job.started")) == 2, 60)
            os.kill(first.process.pid, signal.SIGCONT)
            eventually(lambda: "warning: lease lost job=" in first.text, 30)
            check(client, run)


def test_a_worker_that_has_no_checkpoint_begins_again_and_says_so(
    product: Product, check: Check, tmp_path: Path
) -> None:
    client, server, run = product
    reached(client, run, 10)
    worker = worker_of(server)
    child = children_of(worker)[0]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not alive(child), 10)  # until then it writes
    shutil.rmtree(tmp_path / "data" / "training")  # as on another machine
    check(client, run)
    assert told(client, run, "training.resumed") == []
    assert "restarted" in [one["code"] for one in ended(client, run)["warnings"]]


def test_a_cancelled_run_keeps_what_it_has_measured_and_no_checkpoints(product: Product, tmp_path: Path) -> None:
    client, server, run = product
    eventually(lambda: told(client, run, "training.evaluated"), 120)
    child = children_of(worker_of(server))[0]
    ask(client, "POST", path_of(run, "/cancel"))
    found = ended(client, run, 20)
    assert (found["status"], found["observation_id"]) == ("cancelled", None)
    assert found["gap"]["problems"] == 32
    assert found["evaluations"][0]["step"] == 20
    eventually(lambda: not alive(child), 10)
    eventually(lambda: not list((tmp_path / "data" / "training").iterdir()), 20)
    again = ask(client, "POST", "/v1/training_runs", json=BODY | {"recipe": {"steps": 2}})
    assert ended(client, again)["status"] == "succeeded", "the worker goes on"
