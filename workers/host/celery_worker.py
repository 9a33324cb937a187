"""Celery's worker without its own ideas of a terminal: our signals, our log, and no banner."""

import os
import signal
import sys
from types import FrameType
from typing import Any

from celery import signals
from celery.apps import worker
from celery.platforms import EX_OK
from celery.worker import state


class Worker(worker.Worker):  # type: ignore[misc]
    """A worker that a signal stops in order: a job that runs is handed back, and its child is asked to save its work.

    Celery's handlers print lines of their own, and its Ctrl-C ends with the code of a failure.
    """

    stop_line = ""
    """printed when the worker is told to stop"""

    def install_platform_tweaks(self, worker: Any) -> None:  # noqa: ANN401
        """Take the two signals that end a worker; every other one does what it does by default."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if state.should_stop is not None:  # it stops already
            return
        state.should_stop = EX_OK
        if self.stop_line:
            echoed = "\n" if sys.stdout.isatty() else ""  # a terminal has just shown ^C
            os.write(sys.stdout.fileno(), f"{echoed}{self.stop_line}\n".encode())
        signals.worker_shutting_down.send(sender=self.hostname, sig=signal.Signals(number).name, how="Warm", exitcode=0)
