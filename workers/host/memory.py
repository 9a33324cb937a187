"""The memory of a GPU that a worker's slots share: as many jobs run at a time as fit, and no large one starves."""

import threading

from gapcast.contract.needs import JobNeeds, Offer
from service.jobs.repository import Due

LONG = "training"
"""the queue whose jobs hold memory for hours or days; those of the other end in minutes"""


class Memory:
    """What the jobs of one worker hold, and for which jobs it is kept free.

    A job that does not fit waits for its turn. Meanwhile no younger training run starts, and no younger probe either if
    the job would fit once the probes that run have ended. Probes pass it while training runs hold what it lacks.
    """

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, float]] = {}
        """queue and GB of each job that runs"""
        self._waits: dict[str, Due] = {}
        """the oldest job of each queue that does not fit"""

    @property
    def taken(self) -> frozenset[str]:
        """Ids of the jobs that a slot of this worker has taken memory for."""
        with self._lock:
            return frozenset(self._held)

    def take(self, queue: str, due: Due) -> bool:
        """Take what a job needs; False if it does not fit, has to wait for an older one, or another slot has it."""
        with self._lock:
            if due.id in self._held:  # else the slot that comes too late would give back what the first one holds
                return False
            share = self._offer.share_of(due.needs)
            if share > self._free() or any(self._is_before(one, queue, due) for one in self._waits.values()):
                oldest = self._waits.get(queue)
                if oldest is None or _age(due) <= _age(oldest):
                    self._waits[queue] = due
                return False
            self._held[due.id] = (queue, share)
            if queue in self._waits and self._waits[queue].id == due.id:
                del self._waits[queue]
            return True

    def give(self, job_id: str) -> None:
        """Give back what a job has held."""
        with self._lock:
            self._held.pop(job_id, None)

    def forget(self, queue: str, due: Due | None) -> None:
        """Note the oldest job of a queue that is due now: no other of that queue waits for memory any more."""
        with self._lock:
            if queue in self._waits and (due is None or self._waits[queue].id != due.id):
                del self._waits[queue]

    def fits(self, needs: JobNeeds) -> bool:
        """Return True if a job with these needs would fit now."""
        with self._lock:
            return self._offer.share_of(needs) <= self._free()

    def _free(self, *, without_probes: bool = False) -> float:
        held = sum(share for queue, share in self._held.values() if queue == LONG or not without_probes)
        return (self._offer.memory_gb or 0.0) - held

    def _is_before(self, waiting: Due, queue: str, due: Due) -> bool:
        if _age(waiting) >= _age(due):
            return False
        return queue == LONG or self._offer.share_of(waiting.needs) <= self._free(without_probes=True)


def _age(due: Due) -> tuple[object, str]:
    return due.created_at, due.id
