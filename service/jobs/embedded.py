"""The embedded worker: a child process of `gapcast serve`, started again when it dies."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from gapcast.launching import module_command, safe_environment
from service.jobs import repository as jobs
from service.jobs.needs import offer_of
from service.jobs.service import worker_name
from service.kit.database import Database
from service.kit.process import PARENT
from service.settings import Settings
from service.slots import repository as slots

log = structlog.get_logger()

STEADY = 60.0
"""seconds of life after which a worker's death counts as the first again"""
LONGEST = 30.0
"""seconds; the backoff grows to this"""
ENDING = 5.0
"""seconds for a worker to write down and end what it has stopped"""


class EmbeddedWorker:
    """Keeps one worker process alive until stopped."""

    def __init__(self, settings: Settings) -> None:
        # the worker reads the same environment and file; only what `serve` was given by flag must be handed on
        self._environment = {
            **{name: value for name, value in safe_environment(os.environ).items() if name != "GAPCAST_API_KEY"},
            "GAPCAST_DATA_DIR": str(settings.data_dir),
            "GAPCAST_DATABASE_URL": settings.database_url,
            "GAPCAST_BROKER_URL": settings.broker_url,
            PARENT: str(os.getpid()),
        }
        self._settings = settings
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
            code = self._run_once()
            if self._stop.is_set():
                return
            backoff = 0.5 if time.monotonic() - started > STEADY else min(backoff * 2, LONGEST)
            log.warning("worker_died", code=code, restart_in_seconds=backoff)
            if self._process is not None:
                self._write_down("leases_not_ended", partial(_mourn, worker=worker_name(self._process.pid)))
            self._stop.wait(backoff)

    def _write_down(self, failing: str, write: Callable[[Session], None]) -> None:
        """Write about the worker; where the database is away, log that as `failing`."""
        database = Database(self._settings.database_url)
        try:
            with database.write() as session:
                write(session)
        except SQLAlchemyError as error:
            log.warning(failing, error=f"{type(error).__name__}: {error}"[:300])
        finally:
            database.close()

    def _sign(self, session: Session, worker: str) -> None:
        settings = self._settings
        slots.sign(session, worker, settings.worker_queues, settings.worker_concurrency, offer_of(settings))

    def _run_once(self) -> int | None:
        """Run a worker to its end; returns its exit code, or None when it could not be started."""
        try:
            self._process = subprocess.Popen(module_command("workers"), env=self._environment, start_new_session=True)
        except OSError as error:
            log.error("worker_not_started", error=str(error))
            return None
        # it takes seconds to start, in which nobody is to be told that there is no worker
        self._write_down("sign_not_written", partial(self._sign, worker=worker_name(self._process.pid)))
        return self._process.wait()

    def ask_to_stop(self) -> None:
        """Ask the worker to end, without waiting for it: a signal's handler may call this."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """Ask the worker to end, and end it if its jobs and it take longer than they may."""
        self.ask_to_stop()
        process = self._process
        if process is None:
            return
        process.terminate()  # again: it may have been starting when it was asked; asking twice does no harm
        try:
            process.wait(self._settings.worker_stop_seconds + ENDING)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _mourn(session: Session, worker: str) -> None:
    """Nobody need wait for the leases of a worker that we saw die, or think that it lives."""
    jobs.end_leases_of(session, worker)
    slots.forget(session, worker)
