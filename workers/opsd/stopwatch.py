"""Seconds of an optimizer step by phase: where a run's time goes, and so what would shorten it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

from gapcast.contract.events import StepPhase, StepSeconds


class Stopwatch:
    """Runs from its construction on; on a GPU a phase ends with a number that the CPU has waited for."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._phases: dict[StepPhase, float] = dict.fromkeys(get_args(StepPhase), 0.0)

    @contextmanager
    def timing(self, phase: StepPhase) -> Iterator[None]:
        """Add the block's seconds to a phase."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._phases[phase] += time.monotonic() - began

    def read(self) -> StepSeconds:
        """Return the seconds until now."""
        return StepSeconds(total=time.monotonic() - self._began, **self._phases)
