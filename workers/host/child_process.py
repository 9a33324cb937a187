"""A job's own process as its supervisor sees it: its lines, its end, and what it may see of our environment."""

import json
import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from gapcast.contract.base import JsonObject
from gapcast.launching import module_command, safe_environment
from workers.failures import out_of_memory
from workers.host.orphans import MARK, mark
from workers.work import Line

log = structlog.get_logger()

COMMAND = module_command("workers.child")
TICK = 0.2
"""seconds between looks at the clock while the child is silent"""
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""the child's environment; no GAPCAST_* variable, so no credentials"""
PASSED_ON_PREFIXES = ("CUDA_", "NVIDIA_", "NCCL_")


class Crashed(Exception):
    """The child ended without a result."""


class Failed(Exception):
    """The child said why it cannot succeed."""

    def __init__(self, error: JsonObject) -> None:
        super().__init__(error["message"])
        self.error = error


def child_environment() -> dict[str, str]:
    """What the child may see of our environment, and what keeps it modest and offline."""
    kept = {
        name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    }
    return safe_environment(kept) | {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",  # two threads were up to 25 times slower on a busy small machine (OPSD.md, Engines)
        "PYTHONUNBUFFERED": "1",
        MARK: mark(),
    }


class Child:
    """A job's process in a session of its own."""

    def __init__(self, job: JsonObject, command: Sequence[str] = COMMAND) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            start_new_session=True,
        )
        self._oom_kills = _oom_kills()
        line = json.dumps(job | {"parent_pid": os.getpid()}) + "\n"
        # a pipe takes 64 KiB; a child that is slow to start, or frozen, reads no more: the lease must not wait for it
        threading.Thread(target=self._give, args=(line.encode(),), name="job-line", daemon=True).start()

    def _give(self, line: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None:
            return
        try:
            with stdin:
                stdin.write(line)
        except BrokenPipeError:
            log.debug("child_died_at_start")  # its end is read as a crash

    def lines(self) -> Iterator[Line | None]:
        """Yield each line of the child, and None at least every TICK seconds; raises Crashed at its end."""
        stdout = self._process.stdout
        if stdout is None:
            raise Crashed("the child has no standard output")
        buffer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(TICK):
                    # dead, though something it started holds the pipe open; but what it wrote last is read first
                    if self._process.poll() is not None and not selector.select(0):
                        raise self._crash()
                    yield None
                    continue
                chunk = os.read(stdout.fileno(), 1 << 16)
                if not chunk:
                    raise self._crash()
                *whole, buffer = (buffer + chunk).split(b"\n")
                for line in whole:
                    yield _message(line)
                yield None

    def _crash(self) -> Crashed | Failed:
        by_itself = self._process.poll() is not None or self._waited()
        self.kill()  # a child that closed its pipe may live on
        code = self._process.returncode
        if by_itself and code == -signal.SIGKILL and _oom_kills() > self._oom_kills:
            return Failed(out_of_memory("The system killed the job because its memory was full").as_dict())
        return Crashed(f"the child ended with code {code} and without a result")

    def _waited(self) -> bool:
        """Whether it ends within a moment: its pipe closes a little before it is gone."""
        try:
            self._process.wait(TICK)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ask_to_stop(self) -> None:
        """Ask the child itself, and nothing that it has started, to save its work and end."""
        self._process.terminate()

    def is_stopped(self) -> bool:
        """True if a signal has stopped the child, as SIGSTOP does; False where the system does not say."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] in {"T", "t"}

    def kill(self) -> None:
        """End the child and all that it started; vLLM's engine process would outlive it."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            log.debug("child_gone")
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _oom_kills() -> int:
    """How often this system has killed a process because memory was full; 0 where it does not say."""
    try:
        counters = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    except OSError:
        return 0
    return int(counters.get("oom_kill", 0))


def _message(line: bytes) -> Line:
    """Read a line of the child; what is not a JSON object is a crash, and so is what it says is one."""
    try:
        message = json.loads(line)
    except ValueError as error:
        raise Crashed("the child wrote something that is not JSON") from error
    if not isinstance(message, dict):
        raise Crashed("the child wrote something that is not a JSON object")
    if "crashed" in message:
        raise Crashed(message["crashed"])
    return message
