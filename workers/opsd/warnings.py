"""What a run warns of: each once, as it happens."""

from collections.abc import Callable
from typing import Any


class Warnings:
    """Collects warnings and tells each new one."""

    def __init__(self, emit: Callable[[str, dict[str, Any]], None], known: list[dict[str, str]] | None = None) -> None:
        self._emit = emit
        self.all: list[dict[str, str]] = list(known or [])

    def add(self, code: str, message: str) -> None:
        """Warn, unless this code was warned of before."""
        if any(one["code"] == code for one in self.all):
            return
        warning = {"code": code, "message": message}
        self.all.append(warning)
        self._emit("training.warning", warning)
