"""What outlives a worker that was killed: the kernel ends its jobs' processes, and not those that these have started.

vLLM's engine process is one, and holds the memory of a GPU. Each process of a job carries the mark of its worker in its
environment, and a worker that starts ends those whose worker is gone.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

MARK = "OF_GAPCAST_WORKER"
"""the variable; its value names a process for ever, though its number is given again"""


def mark() -> str:
    """Name this process by its number, its start, and the namespace in which it has that number."""
    return f"{os.getpid()}.{_started(os.getpid())}.{_space()}"


def _started(pid: int | str) -> str:
    """Return when a process has started, in ticks since the machine has; "" if it is gone, or nobody knows."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # proc(5), field 22; the name before it may hold anything


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def end_orphans() -> list[int]:
    """Kill the processes of jobs whose worker is gone; return their numbers."""
    found = list(_orphans()) if sys.platform.startswith("linux") else []
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if found:
        log.warning("orphans_ended", processes=found)
    return found


def _orphans() -> Iterator[int]:
    space = _space()
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            variables = place.joinpath("environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is another user's
            continue
        of = next((one.decode(errors="replace") for one in variables if one.startswith(f"{MARK}=".encode())), "")
        pid, _, rest = of.partition("=")[2].partition(".")
        started, _, its_space = rest.partition(".")
        # a number says nothing in another namespace, such as that of a container
        if pid.isdigit() and its_space == space and started != _started(pid):
            yield int(place.name)
