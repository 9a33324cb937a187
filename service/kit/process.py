"""A process of ours: it starts and ends fast, dies with its parent, keeps its environment to itself, gives a reason."""

import atexit
import ctypes
import gc
import os
import platform
import signal
import sys
from typing import NoReturn

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
# malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


PARENT = "GAPCAST_PARENT_PID"
"""the variable by which a process of ours learns who has started it"""
KEPT_BYTES = 32 * 1024 * 1024
"""of freed memory, for each arena: the most that glibc accepts as the size from which it maps an allocation alone"""
GARBAGE = (100_000, 20, 100)
"""allocations, and younger looks, after which Python looks for garbage"""


def look_for_garbage_seldom() -> None:
    """Look for garbage seldom, and not at the exit.

    What the libraries hold never is any, and it is a million objects. Going through them took a sixth of a server's
    start and over a second of its exit, and 5 % of a small probe.
    """
    gc.set_threshold(*GARBAGE)
    atexit.register(gc.freeze)


def keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next allocation; other C libraries are left as they are.

    By itself it gives memory back as soon as it can. An answer of the law makes some hundred arrays of 100 kB, and took
    their pages from the kernel one by one: half of its time.
    """
    if sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that started it ends; exit if its process is gone already.

    Only Linux can do this; elsewhere the lease and the parent's own clean-up must do.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def hide_environment() -> None:
    """Keep other processes of this user, a job's child among them, from reading our environment in /proc.

    It holds the API key and the URLs of database and broker. It does not stop a process that runs as root.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def refuse(*lines: str) -> NoReturn:
    """End this process with exit code 2, as for a wrong command line; each line says what is wrong."""
    sys.stderr.write("\n".join(lines) + "\n")
    sys.exit(2)
