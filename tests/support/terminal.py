"""A command in a terminal of its own, with somebody who reads it and presses Ctrl-C."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.product import environment


class Terminal:
    """A process that takes a pseudo-terminal for its user's."""

    def __init__(self, command: Sequence[str], settings: dict[str, str], cwd: Path | None = None) -> None:
        self.process, self._screen = _start(command, settings, cwd)
        self.text = ""

    def until(self, words: str, seconds: float = 90) -> str:
        """Read until these words are on the screen, and return all that is."""
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert self._read(deadline), f"{words!r} did not come:\n{self.text}"
        return self.text

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal sends the signal to the processes in its foreground."""
        os.write(self._screen, b"\x03")

    def ended(self, seconds: float = 60) -> int:
        """Read until the process has ended, and return its exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self.process.wait(max(deadline - time.monotonic(), 1))

    def close(self) -> None:
        """End the process if it has not, and the terminal."""
        if self.process.poll() is None:
            self.process.terminate()
            self.ended()
        os.close(self._screen)

    def _read(self, deadline: float) -> bool:
        """Read what comes next; False at the end of the process."""
        ready, _, _ = select.select([self._screen], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"nothing more came:\n{self.text}"
        try:
            read = os.read(self._screen, 1 << 16)
        except OSError:  # Linux: nobody has the other end any more
            return False
        self.text += read.decode(errors="replace").replace("\r\n", "\n")
        return bool(read)


def _start(command: Sequence[str], settings: dict[str, str], cwd: Path | None) -> tuple[subprocess.Popen[bytes], int]:
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        # the leader of a session opens the terminal, which so becomes the session's
        ["sh", "-c", f'exec <>{os.ttyname(terminal)} >&0 2>&0; echo; exec "$0" "$@"', *command],
        env=environment(settings | {"TERM": "xterm", "COLUMNS": "200"}),
        cwd=cwd,
        start_new_session=True,
    )
    os.read(screen, 8)  # the empty line: it has opened its end, and ours can be closed
    os.close(terminal)
    return process, screen
