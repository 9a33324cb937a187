"""What a program may take, and how it ended."""

from dataclasses import dataclass, field
from enum import StrEnum


class SandboxUnavailable(Exception):
    """This machine does not give the sandbox a protection that it needs; the text says which."""


class Status(StrEnum):
    """How a program ended."""

    ok = "ok"
    """It came to its end with exit code 0."""
    error = "error"
    """An exception, another exit code, or a crash."""
    syntax = "syntax"
    """It does not compile, so nothing of it ran."""
    timeout = "timeout"
    memory = "memory"
    """It got no memory and did not handle that."""
    output_limit = "output_limit"
    """It wrote more than the limit."""
    killed = "killed"
    """The kernel or somebody on this machine killed it."""


@dataclass(frozen=True)
class Limits:
    """What a program may take."""

    seconds: float = 10.0
    """of the processor, so that a machine's load changes no verdict"""
    wall_seconds: float = 120.0
    """of the clock: far more than a program takes on a loaded machine, for one that waits and does nothing"""
    memory_mb: int = 512
    """MiB of address space beyond the interpreter's own"""
    output_bytes: int = 1 << 20
    """of standard output and of standard error: four times the longest expected output of a task file"""


@dataclass(frozen=True)
class Outcome:
    """What became of a program."""

    status: Status
    stdout: bytes = b""
    stderr_tail: str = ""
    seconds: float = field(default=0.0, compare=False)
    """of the processor"""


class Ended(Exception):
    """The process at the other end of a channel ended, or took too long."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status
