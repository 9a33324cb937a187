"""The real product as processes of its own: a server, and workers beside it."""

import atexit
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from gapcast import Client, Prediction
from gapcast.launching import module_command

Found = TypeVar("Found")

QUICK = {"GAPCAST_LEASE_SECONDS": "6", "GAPCAST_HEARTBEAT_SECONDS": "1", "GAPCAST_RECONCILE_SECONDS": "1"}
"""Lost workers are found in seconds instead of a minute."""


GAPCAST = str(Path(sysconfig.get_path("scripts"), "gapcast"))
"""the command as it is installed"""


def environment(settings: dict[str, str]) -> dict[str, str]:
    """What the shell of a user holds: nothing of ours but these settings."""
    ours = ("GAPCAST_", "PYTHONSAFEPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"GAPCAST_CONFIG": os.devnull, "OMP_NUM_THREADS": "1"} | settings


class Process:
    """A started process and its log."""

    def __init__(self, command: list[str], settings: dict[str, str], log: Path, cwd: Path | None) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                env=environment(settings),
                cwd=cwd,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise


def eventually(
    look: Callable[[], Found | None], seconds: float = 120, every: float = 0.2, known: Callable[[], object] = lambda: ""
) -> Found:
    """Look until something is there; where it does not come, say what is `known`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s. {known()}"
        time.sleep(every)


@cache
def _prepared() -> Path:
    """A data folder that is migrated: each new one would have its laws fitted, for seconds."""
    folder = Path(tempfile.mkdtemp(prefix="gapcast-prepared-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = environment({"GAPCAST_DATA_DIR": str(folder)})
    subprocess.run([*module_command("service"), "migrate"], env=settings, check=True, capture_output=True)
    return folder


@contextmanager
def serving(
    folder: Path, settings: dict[str, str], cwd: Path | None = None, key: str | None = None
) -> Iterator[tuple[Client, Process]]:
    """`gapcast serve` on a free port; `key` is its API key, if it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    given = {"GAPCAST_DATA_DIR": str(folder / "data"), "GAPCAST_PORT": "0"} | settings
    if "GAPCAST_DATABASE_URL" not in given and not Path(given["GAPCAST_DATA_DIR"]).exists():
        shutil.copytree(_prepared(), given["GAPCAST_DATA_DIR"])
    server = Process([GAPCAST, "serve"], given, folder / "serve.log", cwd)
    try:
        found = eventually(lambda: re.search(r"listens on (\S+)", server.text) or server.process.poll() is not None)
        assert not isinstance(found, bool), server.text
        with Client(found.group(1), key) as client:
            eventually(lambda: _ready(client))
            yield client, server
    finally:
        server.stop()


def _ready(client: Client) -> bool:
    try:
        return client.health.ready().status == "ok"
    except Exception:
        return False


@contextmanager
def working(folder: Path, settings: dict[str, str], name: str, cwd: Path | None = None) -> Iterator[Process]:
    """`gapcast worker`."""
    worker = Process([GAPCAST, "worker"], settings, folder / f"{name}.log", cwd)
    try:
        eventually(lambda: "worker ready" in worker.text)
        yield worker
    finally:
        worker.stop()


def ended(client: Client, prediction: Prediction, seconds: float = 180) -> Prediction:
    """Wait until a prediction has ended."""

    def look() -> Prediction | None:
        found = client.predictions.get(prediction.id)
        return found if found.ended else None

    return eventually(look, seconds)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, from /proc."""
    text = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(one) for one in text.read_text().split()] if text.exists() else []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(one) for one in task.read_text().split()]
    return sorted(set(found))


def descendants(pid: int) -> list[str]:
    """Return a line for each process below this one: its number, state, what it waits for, and its command."""
    lines = []
    for child in children_of(pid):
        place = Path(f"/proc/{child}")
        try:
            state = place.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0]
            waits = place.joinpath("wchan").read_text()
            command = place.joinpath("cmdline").read_text().replace("\0", " ")
        except OSError:  # it has just ended, or is not ours to ask
            continue
        lines += [f"{child} {state} {waits} {command}", *descendants(child)]
    return lines


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ask(client: Client, method: str, path: str, **options: Any) -> Any:
    """Send a request to a client's server without the client, and return the JSON as it is."""
    return httpx2.request(method, f"{client.url}{path}", timeout=75, **options).raise_for_status().json()
