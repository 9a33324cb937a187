"""What a test asks of a database that it looks at from inside."""

from threading import Lock
from typing import cast

from service.kit.database import Database


def others_can_write(database: Database) -> bool:
    """False if it is the caller who holds SQLite's write lock: whatever else writes gives it back soon."""
    lock = cast(Lock, database._write_lock)
    is_free = lock.acquire(timeout=20)
    if is_free:
        lock.release()
    return is_free
