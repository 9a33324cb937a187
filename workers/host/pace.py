"""How fast a job goes, so that those who wait for it can be told how long it still takes."""

import time

from gapcast.contract.base import JsonObject
from service.jobs.service import RATE, SECONDS_LEFT

SHORTEST = 1e-3
"""seconds between two reports at least"""


class Pace:
    """The pace of one attempt, from the first progress that counts something as done.

    What comes before that (loading the model, a run's baseline) says nothing about the rest.
    """

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def beside(self, progress: JsonObject | None) -> JsonObject | None:
        """Return a progress with the pace so far and the seconds that are left at it, where that is known."""
        if not progress or not progress.get("done") or "total" not in progress:
            return progress
        at, done = time.monotonic(), progress["done"]
        if self._first is None:
            self._first = (at, done)
        began, before = self._first
        if done <= before:
            return progress
        rate = (done - before) / max(at - began, SHORTEST)
        return progress | {RATE: rate, SECONDS_LEFT: max(progress["total"] - done, 0) / rate}
