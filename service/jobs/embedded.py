"""The embedded worker: a child process of `gapcast serve`, started again when it dies."""

import os
import signal
import subprocess
import sys
import threading
import time

import structlog

from service.settings import Settings

log = structlog.get_logger()

STEADY = 60.0
"""seconds of life after which a worker's death counts as the first again"""
LONGEST = 30.0
"""seconds; the backoff grows to this"""


class EmbeddedWorker:
    """Keeps one worker process alive until stopped."""

    def __init__(self, settings: Settings) -> None:
        # the worker reads the same environment and file; only what `serve` was given by flag must be handed on
        self._environment = {
            **os.environ,
            "GAPCAST_DATA_DIR": str(settings.data_dir),
            "GAPCAST_DATABASE_URL": settings.database_url,
            "GAPCAST_BROKER_URL": settings.broker_url,
            "GAPCAST_PARENT_PID": str(os.getpid()),
        }
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="embedded-worker", daemon=True)

    def start(self) -> None:
        """Start the worker and watch it."""
        self._thread.start()

    def _keep(self) -> None:
        backoff = 0.5
        while not self._stop.is_set():
            started = time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workers"], env=self._environment, start_new_session=True
            )
            code = self._process.wait()
            if self._stop.is_set():
                return
            backoff = 0.5 if time.monotonic() - started > STEADY else min(backoff * 2, LONGEST)
            log.warning("worker_died", code=code, restart_in_seconds=backoff)
            self._stop.wait(backoff)

    def stop(self) -> None:
        """Ask the worker to end, and end it when it does not within 15 seconds."""
        self._stop.set()
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
