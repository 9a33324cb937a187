"""The embedded queue: a message is a file in the data folder."""

import json
import os
import stat
import uuid
from pathlib import Path
from queue import Empty
from time import monotonic_ns
from typing import Any

from kombu.transport import filesystem

from gapcast.atomic import write_atomically
from service.jobs.messages import LONGEST, Malformed, log_dropped, payload_of


class Channel(filesystem.Channel):
    """kombu's channel, but a message appears whole, and a malformed one is dropped.

    kombu opens a file and fills it under readers' eyes, and raises in the worker's loop at a file that it cannot read.
    """

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        folder = Path(self.data_folder_out)
        name = f"{monotonic_ns() // 1_000_000}_{uuid.uuid4()}.{queue}.msg"
        write_atomically(folder / name, json.dumps(payload))

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        """Take the oldest message, and drop malformed files before it."""
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] == f"{queue}.msg" and (raw := _take(folder / name)) is not None:
                try:
                    return payload_of(raw, queue)
                except Malformed as error:
                    log_dropped(error)
        raise Empty

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Write no file of bindings: messages go to a queue by its name, and one that is half written ends workers."""


def _take(path: Path) -> bytes | None:
    """Remove a file and return its bytes; None if another worker was faster, or it is not a file."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):  # a pipe would be waited for
            return None
        with path.open("rb") as file:
            raw = file.read(LONGEST + 1)
    except FileNotFoundError:
        return None
    except OSError:
        raw = b""  # unreadable, so malformed
    try:
        path.unlink()
    except OSError:
        return None
    return raw


LOOK = 0.4
"""seconds; Celery's 2 would pass up to twice before a worker obeys the signal to stop"""


class Transport(filesystem.Transport):
    """The file-system transport with this channel."""

    Channel = Channel

    def drain_events(self, connection: Any, **kwargs: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        """Look for a message for LOOK seconds at most; the caller has its loop."""
        if kwargs.get("timeout") is not None:
            kwargs["timeout"] = min(kwargs["timeout"], LOOK)
        super().drain_events(connection, **kwargs)  # type: ignore[no-untyped-call]
