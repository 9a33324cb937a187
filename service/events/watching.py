"""One poller a process: it looks for new events, and wakes the streams that they are for.

Hundreds of idle streams then cost one small query a second, and not four queries a second each.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import structlog
from fastapi.concurrency import run_in_threadpool

from service.errors import TooManyStreams
from service.events import repository
from service.events.repository import Written
from service.kit.database import Database

log = structlog.get_logger()

SOON, LATER = 0.25, 1.0
"""seconds between two looks while something happens, and when nothing has for a while"""
SLOWER = 1.25
"""factor from one pause to the next while nothing happens"""
SETTLED = 5.0
"""seconds after which no transaction is expected to commit an event with a lower id; a stream looks by itself, too"""


class Watcher:
    """One stream's subjects, and the sign that something was written for them.

    Attributes:
        tenant: whose they are.
        ids: subjects; None: all of the tenant's.
    """

    def __init__(self, tenant: str, ids: Sequence[str] | None) -> None:
        self.tenant, self.ids = tenant, ids
        self._woken = asyncio.Event()

    def concerns(self, event: Written) -> bool:
        """True if the event is for this stream."""
        return event.tenant == self.tenant and (self.ids is None or event.subject_id in self.ids)

    def wake(self) -> None:
        """Have the stream look."""
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until woken; False if the time is over first."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        woken = self._woken.is_set()
        self._woken.clear()
        return woken


class Watching:
    """The streams of one process, and the task that polls for them while there are any.

    Args:
        database: with the events.
        most: streams of one tenant.
    """

    def __init__(self, database: Database, most: int) -> None:
        self._database, self._most = database, most
        self._watchers: set[Watcher] = set()
        self._poller: asyncio.Task[None] | None = None

    def require_place(self, tenant: str) -> None:
        """Refuse a stream beyond the tenant's last one.

        Raises:
            TooManyStreams: the tenant has as many as it may.
        """
        if sum(watcher.tenant == tenant for watcher in self._watchers) >= self._most:
            detail = f"{self._most} streams of events are open, the most that one tenant may have. Close one first."
            raise TooManyStreams(detail, headers={"Retry-After": "10"})

    @contextmanager
    def watch(self, tenant: str, ids: Sequence[str] | None) -> Iterator[Watcher]:
        """Give a watcher, which is woken until the block ends."""
        watcher = Watcher(tenant, ids)
        self._watchers.add(watcher)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def _poll(self) -> None:
        """Look for events and wake, as long as anybody watches.

        On PostgreSQL an event with a lower id may be committed after one with a higher, so ids that have not settled
        are read again.
        """
        settled: int | None = None
        seen: dict[int, float] = {}
        pause = SOON
        while self._watchers:
            try:
                if settled is None:
                    settled = await run_in_threadpool(self._newest)
                    self._wake_all()  # for what was written since they have looked
                rows = [row for row in await run_in_threadpool(self._after, settled) if row.id not in seen]
            except Exception as error:
                log.warning("events_not_read", error=f"{type(error).__name__}: {error}"[:200])
                settled, rows = None, []
            moment = time.monotonic()
            seen |= {row.id: moment for row in rows}
            if settled is not None:
                settled = max([settled, *(number for number, at in seen.items() if moment - at > SETTLED)])
                seen = {number: at for number, at in seen.items() if number > settled}
            for watcher in self._watchers if rows else ():
                if any(watcher.concerns(row) for row in rows):
                    watcher.wake()
            pause = SOON if rows else min(pause * SLOWER, LATER)
            await asyncio.sleep(pause)

    def _wake_all(self) -> None:
        for watcher in self._watchers:
            watcher.wake()

    def _newest(self) -> int:
        with self._database.read() as session:
            return repository.newest_id(session)

    def _after(self, last: int) -> Sequence[Written]:
        with self._database.read() as session:
            return repository.written_after(session, last)
