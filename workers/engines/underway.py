"""How far a batch of rollouts is while it is drawn, so that somebody who waits sees it move."""

import time
from collections.abc import Callable

import torch
import transformers

SECONDS = 2.0
"""between two reports: a look at the tokens makes a GPU wait"""


At = Callable[[float], None]
"""Takes the samples of a batch that are done, those under way by their share."""


class Meter:
    """Counts what has been reported of a batch, so that a part that is drawn again is not reported twice."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._told = 0

    def at(self, done: float) -> None:
        """Report the whole samples of `done` that are new."""
        new = int(done) - self._told
        if new > 0:
            self._told += new
            self._report(new)


class Underway(transformers.StoppingCriteria):  # type: ignore[misc] # transformers has no types
    """Ends nothing: it counts samples that have ended whole, and the others by the share of their tokens."""

    def __init__(self, width: int, most: int, end: frozenset[int], at: At) -> None:
        self._width, self._most, self._end, self._at = width, most, sorted(end), at
        self._last = time.monotonic()

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: object) -> torch.Tensor:
        """No row is over."""
        if time.monotonic() - self._last >= SECONDS:
            written_BT = input_ids[:, self._width :]
            ended_B = torch.isin(written_BT, torch.tensor(self._end, device=written_BT.device)).any(dim=1)
            ended, rows = int(ended_B.sum()), len(ended_B)
            self._at(ended + (rows - ended) * written_BT.shape[1] / self._most)
            self._last = time.monotonic()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
