"""A worker's slots: each runs one job of its queue at a time, the oldest one that is due.

The jobs table says what is due. A wake-up only makes idle slots look at once, and so none is kept for a busy one.
"""

import threading

import structlog

from service.jobs import repository as jobs
from service.kinds import KINDS
from service.kit.database import Database
from service.settings import Settings
from service.slots import repository as slots
from workers.host.supervisor import Supervisor

log = structlog.get_logger()

LOOK = 2.0
"""seconds between an idle slot's looks: what a job may wait whose wake-up was lost, or reached a busy worker"""
AGAIN = 0.2
"""seconds until another look where another worker took the job first, or somebody holds its row"""


class Slots:
    """The threads that run a worker's jobs, and its signs of life."""

    def __init__(self, settings: Settings, database: Database, supervisor: Supervisor, stop: threading.Event) -> None:
        self._settings, self._database, self._supervisor, self._stop = settings, database, supervisor, stop
        queues = settings.worker_queues * settings.worker_concurrency
        self._woken = [(queue, threading.Event()) for queue in queues]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Sign, and take jobs until told to stop."""
        self._sign()
        keepers = [threading.Thread(target=self._keep_signing, name="signs")]
        keepers += [threading.Thread(target=self._keep_working, args=one, name=f"slot-{one[0]}") for one in self._woken]
        for thread in keepers:
            thread.start()
        self._threads = keepers

    def wake(self) -> None:
        """Have every idle slot look for a job, or see that it is to stop."""
        for _, woken in self._woken:
            woken.set()

    def stop(self) -> None:
        """Hand all jobs back, and take the worker's sign away."""
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join()
        try:
            with self._database.write() as session:
                slots.forget(session, self._supervisor.name)
        except Exception as error:
            log.warning("sign_not_taken_away", error=f"{type(error).__name__}: {error}"[:300])

    def _sign(self) -> None:
        settings = self._settings
        try:
            with self._database.write() as session:
                slots.sign(session, self._supervisor.name, settings.worker_queues, settings.worker_concurrency)
        except Exception as error:
            log.warning("sign_not_written", error=f"{type(error).__name__}: {error}"[:300])

    def _keep_signing(self) -> None:
        while not self._stop.wait(slots.SIGN):
            self._sign()

    def _keep_working(self, queue: str, woken: threading.Event) -> None:
        refused: set[str] = set()  # jobs that cannot be started here and must not keep those behind them from it
        while not self._stop.is_set():
            job_id = None
            try:
                with self._database.read() as session:
                    job_id = jobs.next_due(session, queue, KINDS, refused)
                if job_id is not None:
                    if not self._supervisor.run(job_id):
                        self._stop.wait(AGAIN)
                    continue
            except Exception as error:
                log.warning("job_not_started", job=job_id, error=f"{type(error).__name__}: {error}"[:300])
                if job_id is not None:
                    refused.add(job_id)
                    continue
            if woken.wait(LOOK):
                woken.clear()
                refused.clear()
