"""The worker's side of the sandbox: starts it, hands it programs and takes what comes out, up to the limits."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.tasks.sandbox.confine import NOBODY
from workers.tasks.sandbox.harness import OUT_OF_MEMORY
from workers.tasks.sandbox.messages import Message
from workers.tasks.sandbox.outcome import Ended, Limits, Outcome, SandboxUnavailable, Status
from workers.tasks.sandbox.pipes import Channel, Output

LAUNCHER = Path(__file__).with_name("launch.py")
START_SECONDS = 30.0
"""a start takes 0.1 s; a machine that swaps takes longer, and a program must not fail because of it"""
LINGER_SECONDS = 0.5
"""for what a program wrote before it was ended"""
PACKET = 4096
"""bytes of a control packet: a few short fields"""
END = b"end"
"""the control packet that ends the running program"""


class Session:
    """One sandbox: started once, then a fork for each program, one at a time.

    A program that has to be killed leaves it to the next one.

    Raises:
        SandboxUnavailable: where it cannot be started with every protection.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.used = 0.0
        """seconds of processor time that the last program took; what it was given where that is not known"""
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._running = False

    def __enter__(self) -> Self:
        self.ready()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.kill()

    @property
    def waiting(self) -> bool:
        """Whether it is started and free."""
        return not self._running and self._process is not None and self._process.poll() is None

    def ready(self) -> None:
        """Have a sandbox that waits for a program, so that no program's time goes into the start."""
        if not self.waiting:
            self.kill()
            self._start()

    def kill(self) -> None:
        """End the sandbox and everything in it."""
        process, self._process, self._running = self._process, None, False
        if self._control is not None:
            self._control.close()
            self._control = None
        if process is None:
            return
        if process.poll() is None:  # else its number may be another's by now, and the kernel has ended the rest
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stderr is not None:
            process.stderr.close()

    def run(self, program: str, stdin: str, seconds: float | None = None, wall_seconds: float | None = None) -> Outcome:
        """Run a program on an input until it ends or a limit is reached."""
        self.ready()
        deadline = time.monotonic() + (self.limits.wall_seconds if wall_seconds is None else wall_seconds)
        pipes = [os.pipe() for _ in range(3)]
        output = Output([pipes[0][1], pipes[1][0], pipes[2][0]], self.limits.output_bytes)
        channel: Channel | None = None
        try:
            channel = self._open("program", [pipes[0][0], pipes[1][1], pipes[2][1]], deadline, seconds)
            answer = channel.ask({"source": program})
            if "syntax" in answer:
                self._end()
                return Outcome(Status.syntax, stderr_tail=str(answer["syntax"]), seconds=self.used)
            status = output.collect(stdin.encode("utf-8", "surrogatepass"), deadline)
            if status is None:
                status = self.ended(deadline)
            else:
                self._end()
            return Outcome(status, output.stdout, output.stderr, self.used)
        except Ended as end:  # before anything of the program ran
            output.collect(b"", time.monotonic() + LINGER_SECONDS)
            return Outcome(end.status, stderr_tail=output.stderr, seconds=self.used)
        finally:
            output.close()
            self._close(channel)

    @contextlib.contextmanager
    def talk(
        self, mode: str, deadline: float, seconds: float | None = None, message_bytes: int = 0
    ) -> Iterator[Channel]:
        """Start a process that serves or judges (`harness.run`); what it prints goes nowhere.

        A message of it may have `message_bytes`, or what a channel takes anyway.
        """
        channel = self._open(mode, [os.open(os.devnull, os.O_RDWR) for _ in range(3)], deadline, seconds)
        channel.most_bytes = max(channel.most_bytes, message_bytes)
        try:
            yield channel
        finally:
            self._close(channel)

    def _close(self, channel: Channel | None) -> None:
        if channel is not None:
            channel.close()
        self._end()

    def _end(self) -> None:
        """End the running program, if it has not ended by itself; the sandbox stays."""
        if not self._running or self._control is None:
            return
        with contextlib.suppress(OSError):  # then nothing is heard either
            self._control.send(END)
        if self._take_end(time.monotonic() + START_SECONDS) is None:
            self.kill()

    def ended(self, deadline: float) -> Status:
        """Wait for the running program's end; at the deadline it is ended."""
        status = self._take_end(deadline)
        if status is None:
            self._end()
        return status or Status.timeout

    def _take_end(self, deadline: float) -> Status | None:
        """How the running program ended; None if it still runs at the deadline."""
        if self._control is None or not self._running:
            return Status.timeout
        try:
            self._control.settimeout(max(deadline - time.monotonic(), 0.001))
            packet = self._control.recv(PACKET)
        except TimeoutError:
            return None
        except OSError:
            packet = b""
        if not packet:  # the sandbox was killed as a whole
            self.kill()
            return Status.killed
        self._running = False
        end = json.loads(packet)
        self.used, code = end["seconds"], end["code"]
        if code == OUT_OF_MEMORY:
            return Status.memory
        if end["late"] or code == -signal.SIGXCPU:
            return Status.timeout
        if code in (-signal.SIGKILL, -signal.SIGSYS):
            return Status.killed
        return Status.ok if code == 0 else Status.error

    def _open(self, mode: str, descriptors: list[int], deadline: float, seconds: float | None) -> Channel:
        """Fork a process in the sandbox, with these as its standard descriptors; they are closed here."""
        here, there = socket.socketpair()
        try:
            self.ready()
            assert self._control is not None  # noqa: S101 - for the type checker
            self.used = self.limits.seconds if seconds is None else seconds
            job = {"mode": mode, "memory_mb": self.limits.memory_mb, "seconds": self.used}
            self._control.settimeout(START_SECONDS)
            socket.send_fds(self._control, [json.dumps(job).encode()], [*descriptors, there.fileno()])
            self._running = True
        except OSError:
            here.close()
            self.kill()
            raise Ended(Status.killed) from None
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            there.close()
        return Channel(here, deadline, self.ended)

    def _start(self) -> None:
        if sys.platform != "linux":
            raise SandboxUnavailable(f"namespaces: {sys.platform} has none, only Linux does")
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(LAUNCHER), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    cwd="/",
                    env={},
                )
            self._control.settimeout(START_SECONDS)
            self._said()
            _map_user(self._process.pid)
            self._control.send(b"mapped")
            self._said()
        except (OSError, SandboxUnavailable) as error:
            self.kill()
            raise error if isinstance(error, SandboxUnavailable) else SandboxUnavailable(f"start: {error}") from None

    def _said(self) -> Message:
        assert self._control is not None  # noqa: S101 - for the type checker
        assert self._process is not None  # noqa: S101
        packet = self._control.recv(PACKET)
        if not packet:
            self._process.kill()
            said = self._process.stderr.read().decode(errors="replace").strip() if self._process.stderr else ""
            raise SandboxUnavailable(f"start: the sandbox ended before it was ready. {said[-500:]}")
        answer: Message = json.loads(packet)
        if "refused" in answer:
            raise SandboxUnavailable(answer["refused"])
        return answer


def _map_user(pid: int) -> None:
    """Make the process's user 65534 in its namespace: as root truly another user, else this one by that number."""
    root = os.geteuid() == 0
    folder = Path(f"/proc/{pid}")
    try:
        if not root:
            (folder / "setgroups").write_text("deny")
        (folder / "uid_map").write_text(f"{NOBODY} {NOBODY if root else os.geteuid()} 1")
        (folder / "gid_map").write_text(f"{NOBODY} {NOBODY if root else os.getegid()} 1")
    except OSError as error:
        raise SandboxUnavailable(f"user: the sandbox's user cannot be mapped: {error.strerror}") from error
