"""Tries out, once per process, whether the sandbox keeps what it promises on this machine."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from workers.tasks.sandbox.outcome import Limits, Outcome, SandboxUnavailable, Status
from workers.tasks.sandbox.session import Session

LIMITS = Limits(seconds=10.0, memory_mb=64, output_bytes=1 << 16)
"""small, so that reaching them takes no time"""
LOOP_SECONDS = 0.2
"""a program that does not end is given so long"""

ATTEMPTS = r"""
import ctypes, errno, json, os, socket, threading
libc = ctypes.CDLL(None, use_errno=True)
def refused(attempt):
    try:
        attempt()
    except OSError as error:
        return error.errno == errno.EPERM
    return False
def second():
    number = os.fork()
    if number == 0:
        os._exit(0)  # it must not go on and read what the first one waits for
    os.waitpid(number, 0)  # nor end later: once traced, below, the first one is stopped by a signal
def unreadable(path):
    try:
        open(path, "rb").close()
    except OSError:
        return True
    return False
def closed(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False
def most_threads():
    for started in range(500):
        try:
            threading.Thread(target=stop.wait, daemon=True).start()
        except RuntimeError:
            break
    stop.set()
    return started
threading.stack_size(65536)
stop = threading.Event()
print(json.dumps({
    "processes": refused(second) and refused(lambda: os.execv("/", ["x"])) and refused(lambda: os.kill(1, 0)),
    "network": all(refused(lambda: socket.socket(family)) for family in (1, 2, 10, 16)),
    "kernel": all(libc.syscall(n, 0, 0, 0, 0) == -1 and ctypes.get_errno() == errno.EPERM for n in json.loads(input())),
    "files": all(map(unreadable, json.loads(input()))) and refused(lambda: open("/new", "w")),
    "identity": os.getuid() == os.getgid() == 65534 and os.getppid() == 1,
    "environment": not os.environ and all(map(closed, range(3, 64))),
    "threads": most_threads() < 100,
}))
"""

DANGEROUS = {
    "x86_64": (101, 165, 272, 308, 250, 321, 298, 425, 323, 310, 161, 155, 317),
    "aarch64": (117, 40, 97, 268, 219, 280, 241, 425, 282, 270, 51, 41, 277),
}
"""ptrace mount unshare setns keyctl bpf perf_event_open io_uring_setup userfaultfd process_vm_readv chroot pivot_root
seccomp"""

MEANING = {
    "start": "own namespaces, own root, Landlock, no_new_privs, no capabilities: checked at every start",
    "processes": "no second process, no other program, no signal to others",
    "network": "no sockets",
    "kernel": "dangerous system calls are refused",
    "files": "nothing to read but Python's standard library, nothing to write",
    "identity": "the user is nobody",
    "environment": "no variables and no open descriptors",
    "threads": "few threads",
    "memory": "the memory limit holds",
    "output": "the output limit holds",
    "time": "a program that does not end is killed",
}


@dataclass(frozen=True)
class Protection:
    """One thing that the sandbox promises."""

    name: str
    holds: bool
    detail: str


def protections() -> Iterator[Protection]:
    """Each protection, tried out just now; ends at the first that cannot be tried."""
    try:
        with Session(LIMITS) as session:
            yield Protection("start", True, MEANING["start"])
            yield from _attempts(session)
            for name, program, status in (
                ("memory", "bytearray(80 << 20)", Status.memory),
                ("output", "print('x' * (1 << 17))", Status.output_limit),
                ("time", "while True: pass", Status.timeout),
            ):
                ended = session.run(program, "", LOOP_SECONDS if name == "time" else None).status
                yield Protection(name, ended is status, MEANING[name])
    except SandboxUnavailable as error:
        yield Protection("start", False, str(error))


def _attempts(session: Session) -> Iterator[Protection]:
    forbidden = [__file__, "/etc/passwd", "/proc/self/environ", f"/proc/{os.getpid()}/environ", "/dev/null", "/dev/mem"]
    given = f"{json.dumps(DANGEROUS[os.uname().machine])}\n{json.dumps(forbidden)}\n"
    outcome = session.run(ATTEMPTS, given)
    found = _found(outcome)
    if found is None:
        yield Protection("start", False, f"start: no program can run in it: {outcome.stderr_tail[-500:]}")
        return
    yield from (Protection(name, held, MEANING[name]) for name, held in found.items())


def _found(outcome: Outcome) -> dict[str, bool] | None:
    if outcome.status is not Status.ok:
        return None
    found: dict[str, bool] = json.loads(outcome.stdout)
    return found


@cache
def check() -> str | None:
    """Why no code can be run on this machine; None where every protection holds. Tried out once per process."""
    for protection in protections():
        if not protection.holds:
            lacking = protection.detail if protection.name == "start" else f"not given: {protection.detail}"
            return f"{lacking}"
    return None
