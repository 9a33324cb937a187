"""The exit codes of every command, in one table."""

from enum import IntEnum

from gapcast.client import AnswerLost, GapcastError, RateLimited, ServerFault, Unreachable


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    NO_SERVER = 3
    STOP = 4
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "done",
    Exit.FAILED: "the work that was asked for failed or was cancelled",
    Exit.REFUSED: "the command, a file, the key or the request is wrong: correct it",
    Exit.NO_SERVER: "the server does not answer, or failed: try again",
    Exit.STOP: "the stopping rule says to stop the run (`gapcast track`)",
    Exit.INTERRUPTED: "Ctrl-C; the work goes on",
}
TABLE = "Exit codes:\n\n" + "\n\n".join(f"{code.value}: {meaning}" for code, meaning in MEANINGS.items())
"""The table as the help of `gapcast` prints it."""


def exit_code(error: GapcastError) -> Exit:
    """Return the exit code for what the client raised."""
    passing = isinstance(error, Unreachable | AnswerLost | ServerFault | RateLimited) and error.code != "invalid_url"
    return Exit.NO_SERVER if passing else Exit.REFUSED
