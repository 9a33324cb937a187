"""The sandbox that model-written code runs in; there is no way to run it without (docs/sandbox.md)."""

from workers.tasks.sandbox.idle import borrowed
from workers.tasks.sandbox.outcome import Ended, Limits, Outcome, SandboxUnavailable, Status
from workers.tasks.sandbox.pipes import Channel
from workers.tasks.sandbox.probe import check
from workers.tasks.sandbox.session import Session


def run(program: str, stdin: str, limits: Limits) -> Outcome:
    """Run one program on one input in a sandbox.

    Raises:
        SandboxUnavailable: where the sandbox lacks a protection.
    """
    with borrowed(limits) as session:
        return session.run(program, stdin)


__all__ = [
    "Channel",
    "Ended",
    "Limits",
    "Outcome",
    "SandboxUnavailable",
    "Session",
    "Status",
    "borrowed",
    "check",
    "run",
]
