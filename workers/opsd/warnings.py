"""What a run warns of: each once, as it happens."""

from collections.abc import Sequence

from gapcast.contract.base import Warned
from gapcast.contract.events import Emit, TrainingWarning


class Warnings:
    """Collects warnings and tells each new one."""

    def __init__(self, emit: Emit, known: Sequence[Warned] = ()) -> None:
        self._emit = emit
        self.all = list(known)

    def add(self, code: str, message: str, **numbers: float) -> None:
        """Warn, unless this code was warned of before; `numbers` are those of the message, accuracies as shares."""
        if any(one.code == code for one in self.all):
            return
        self.all.append(Warned(code=code, message=message, numbers=numbers))
        self._emit(TrainingWarning(code=code, message=message, numbers=numbers))
