"""A lock for each of many keys, that is there only while somebody holds it or waits for it."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class KeyedLocks:
    """Locks by key: holders of different keys do not wait for each other."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[Hashable, tuple[threading.Lock, int]] = {}

    @contextmanager
    def holding(self, key: Hashable) -> Iterator[None]:
        """Hold the key's lock during the block."""
        with self._guard:
            lock, users = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                users = self._held[key][1] - 1
                if users:
                    self._held[key] = lock, users
                else:
                    del self._held[key]
