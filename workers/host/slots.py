"""A worker's slots: each runs one job of its queue at a time, the oldest one that is due and that the worker can take.

The jobs table says what is due. A wake-up only makes idle slots look at once, and so none is kept for a busy one.
"""

import threading
from collections.abc import Callable

import structlog

from gapcast.contract.needs import JobNeeds
from service.jobs import repository as jobs
from service.jobs.needs import offer_of
from service.jobs.repository import Due
from service.kinds import KINDS
from service.kit.database import Database
from service.settings import Settings
from service.slots import repository as slots
from workers.host.memory import Memory
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
        self._offer = offer_of(settings)
        self._memory = Memory(self._offer)

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
                slots.sign(
                    session, self._supervisor.name, settings.worker_queues, settings.worker_concurrency, self._offer
                )
        except Exception as error:
            log.warning("sign_not_written", error=f"{type(error).__name__}: {error}"[:300])

    def _keep_signing(self) -> None:
        while not self._stop.wait(slots.SIGN):
            self._sign()

    def _take(self, queue: str, refused: set[str]) -> Due | None:
        """Return the job that a slot is to run now, for which it has taken the memory."""
        due = self._next_due(queue, refused, self._offer.takes)
        self._memory.forget(queue, due)
        if due is None or self._memory.take(queue, due):
            return due
        smaller = self._next_due(queue, refused, lambda needs: self._offer.takes(needs) and self._memory.fits(needs))
        return smaller if smaller is not None and self._memory.take(queue, smaller) else None

    def _next_due(self, queue: str, refused: set[str], takes: Callable[[JobNeeds], bool]) -> Due | None:
        """Return the oldest job that is wanted; what another slot is about to claim is due for that one alone."""
        with self._database.read() as session:
            return jobs.next_due(session, queue, KINDS, refused | self._memory.taken, takes)

    def _keep_working(self, queue: str, woken: threading.Event) -> None:
        refused: set[str] = set()  # jobs that cannot be started here and must not keep those behind them from it
        while not self._stop.is_set():
            due = None
            try:
                due = self._take(queue, refused)
                if due is not None:
                    if not self._supervisor.run(due.id):
                        self._stop.wait(AGAIN)
                    continue
            except Exception as error:
                log.warning("job_not_started", job=due and due.id, error=f"{type(error).__name__}: {error}"[:300])
                if due is not None:
                    refused.add(due.id)
                    continue
            finally:
                if due is not None:
                    self._memory.give(due.id)
            if woken.wait(LOOK):
                woken.clear()
                refused.clear()
