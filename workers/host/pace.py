"""How fast a job goes, so that those who wait for it can be told how long it still takes."""

import time

from gapcast.contract.base import JsonObject
from service.jobs.service import SECONDS_LEFT


class Pace:
    """The pace of one attempt, from the first progress that counts something as done.

    What comes before that (loading the model, a run's baseline) says nothing about the rest.
    """

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def beside(self, progress: JsonObject | None) -> JsonObject | None:
        """Return a progress with the seconds that are left at the pace so far, where that is known."""
        if not progress or not progress.get("done") or "total" not in progress:
            return progress
        at, done = time.monotonic(), progress["done"]
        if self._first is None:
            self._first = (at, done)
        began, before = self._first
        if done <= before:
            return progress
        return progress | {SECONDS_LEFT: (at - began) / (done - before) * max(progress["total"] - done, 0)}
