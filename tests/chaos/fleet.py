"""The product's processes, started again when they die, as an init system does."""

import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from gapcast import Client
from tests.chaos.own_services import free_port
from tests.support.product import GAPCAST, alive, children_of, environment, eventually

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
PAUSE = 0.5
"""seconds before a process that has died is started again"""
GONE = 20.0
"""seconds in which what a killed process has started must be gone, on a busy machine"""


def clock(offset: float) -> dict[str, str]:
    """Return the variables by which libfaketime moves the clock of a process by some seconds; none for 0."""
    if not offset:
        return {}
    libraries = sorted(Path("/").glob("usr/lib*/**/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("libfaketime is not installed")
    # waits are measured by the monotonic clock, which no machine sets
    return {"LD_PRELOAD": str(libraries[0]), "FAKETIME": f"{offset:+g}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Member:
    """One process of the fleet, whatever its number is just now."""

    def __init__(self, name: str, command: list[str], settings: dict[str, str], folder: Path) -> None:
        self.name, self._command, self._settings = name, command, settings
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.died_at: float | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=environment(self._settings), stdout=log, stderr=log, start_new_session=True
            )
        self.died_at = None

    @property
    def pid(self) -> int | None:
        """Its number while it runs."""
        process = self.process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def signs_as(self) -> str:
        """The name under which a worker holds jobs."""
        return f"{socket.gethostname()}:{self.process.pid if self.process is not None else 0}"


class Fleet:
    """An API and some workers."""

    def __init__(self, folder: Path, settings: dict[str, str], workers: int, apart: float = 0) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        given = settings | {"GAPCAST_DATA_DIR": str(folder / "data"), "GAPCAST_PORT": str(self.port)}
        given["GAPCAST_WORKER"] = "off"
        self.api = Member("api", [GAPCAST, "serve"], given | clock(-apart), folder)
        clocks = [clock(apart), *[clock(0)] * (workers - 1)]
        names = [f"worker-{number}" for number in range(workers)]
        self.workers = [
            Member(name, [GAPCAST, "worker"], given | own, folder) for name, own in zip(names, clocks, strict=True)
        ]
        self.starts = 0
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    @property
    def members(self) -> list[Member]:
        return [self.api, *self.workers]

    def start(self) -> None:
        """Start all, and wait until the API answers and the workers listen."""
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what loses its parent becomes our child
        self._before = set(children_of(os.getpid()))
        self.api.start()
        eventually(self.answers, 240)
        for worker in self.workers:
            worker.start()
        eventually(lambda: all("worker ready" in worker.log.read_text() for worker in self.workers), 240)
        self._keeper.start()

    def answers(self) -> bool:
        """True if the API is ready."""
        try:
            with Client(self.url, timeout=5, retries=0) as client:
                return client.health.ready().status == "ok"
        except Exception:
            return False

    def _keep(self) -> None:
        while not self._stop.wait(0.1):
            for member in self.members:
                if member.pid is not None:
                    continue
                if member.died_at is None:
                    member.died_at = time.monotonic()
                elif time.monotonic() - member.died_at > PAUSE:
                    member.start()
                    self.starts += 1

    def stop(self) -> None:
        """Stop all gently."""
        self._stop.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for member in self.members:
            if member.process is not None:
                member.process.send_signal(signal.SIGCONT)
                member.process.terminate()
        for member in self.members:
            if member.process is not None:
                try:
                    member.process.wait(120)
                except subprocess.TimeoutExpired:
                    member.process.kill()
                    member.process.wait()

    def leftovers(self) -> list[str]:
        """Return a line for each process that outlives all; to be asked once the servers have been stopped, too."""
        deadline = time.monotonic() + GONE
        while (left := self.strays()) and time.monotonic() < deadline:
            time.sleep(0.2)
        lines = [f"{pid} {_command_of(pid)}" for pid in left]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        return lines

    def strays(self) -> list[int]:
        """Return the processes that have lost their parent and live."""
        known = {member.process.pid for member in self.members if member.process is not None}
        found = [pid for pid in children_of(os.getpid()) if pid not in known | self._before]
        for pid in found:
            if not alive(pid):  # a zombie is ours to bury, and nobody else's
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue
        return [pid for pid in found if alive(pid)]


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return "?"
