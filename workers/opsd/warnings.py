"""What a run warns of: each once, as it happens."""

from collections.abc import Sequence

from gapcast.contract.base import Warned
from gapcast.contract.events import Emit, TrainingWarning


class Warnings:
    """Collects warnings and tells each new one."""

    def __init__(self, emit: Emit, known: Sequence[Warned] = ()) -> None:
        self._emit = emit
        self.all = list(known)

    def add(self, code: str, message: str) -> None:
        """Warn, unless this code was warned of before."""
        if any(one.code == code for one in self.all):
            return
        self.all.append(Warned(code=code, message=message))
        self._emit(TrainingWarning(code=code, message=message))
