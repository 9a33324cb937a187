"""The history of a storm as its clients see it: what they asked, what they were answered, what they saw later."""

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

Body = dict[str, Any]
LIVE = {"queued", "running", "paused", "checking", "pending"}
"""states of what has not ended"""
ALIVE = ("waiting", "progress", "standing")
"""fields that are read afresh with every answer"""


AGAIN = 0.5
"""seconds until a post that was not accepted is repeated"""


@dataclass
class Ask:
    """One thing that a client wants, asked under one key until it is accepted."""

    kind: str
    path: str
    key: str
    body: Body | None = None
    content: bytes | None = None
    ids: list[str] = field(default_factory=list)
    """as accepted; none: no answer has come yet"""
    ended: Body | None = None
    """the first answer that said that it has ended"""

    @property
    def address(self) -> str:
        """Where its one subject is read."""
        return f"{self.path.partition('?')[0]}/{self.ids[0]}"

    @property
    def open(self) -> bool:
        """True if it was accepted and has not been seen to end."""
        return bool(self.ids) and self.ended is None and self.kind != "import"


class History:
    """All that was asked, answered, seen and done to the product; each a line in a file as soon as it happens."""

    def __init__(self, path: Path) -> None:
        self.path, self.asks, self.lines = path, list[Ask](), list[Body]()
        self._file, self._lock = path.open("w"), threading.Lock()

    def add(self, what: str, **more: Any) -> Body:
        """Append a line."""
        line = {"at": round(time.time(), 3), "what": what, **more}
        with self._lock:
            self.lines.append(line)
            self._file.write(json.dumps(line, default=str) + "\n")
            self._file.flush()
        return line

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def of(self, what: str) -> list[Body]:
        """Return the lines of one kind."""
        with self._lock:
            return [line for line in self.lines if line["what"] == what]


class Clients:
    """The clients of a storm."""

    def __init__(self, url: str, history: History) -> None:
        self.url, self.history = url, history
        limits = httpx2.Limits(max_keepalive_connections=0)  # a process that was killed leaves dead ones
        self._http = httpx2.Client(base_url=url, limits=limits, verify=False)  # no certificates to read

    def ask(self, ask: Ask, until: float) -> bool:
        """Ask under one key until it is accepted; False if it was not until that moment of `time.monotonic`."""
        self.history.asks.append(ask)
        self.history.add("ask", kind=ask.kind, key=ask.key, path=ask.path)
        while not self.once(ask):
            if time.monotonic() > until:
                self.history.add("given up", key=ask.key)
                return False
            time.sleep(AGAIN)
        return True

    def once(self, ask: Ask, **headers: str) -> bool:
        """Ask once; True if it was accepted now or before."""
        sent = {"Idempotency-Key": ask.key, **headers}
        if ask.content is not None:
            sent["Content-Type"] = "application/jsonl"
        try:
            answer = self._http.post(ask.path, json=ask.body, content=ask.content, headers=sent, timeout=60)
        except httpx2.HTTPError as error:
            self.history.add("no answer", key=ask.key, error=type(error).__name__)
            return False
        if answer.status_code in {200, 201, 202}:
            ids = _ids(ask, answer.json())
            self.history.add("accepted", key=ask.key, ids=ids, status=answer.status_code)
            ask.ids = ask.ids or ids
            return True
        self.history.add("refused", key=ask.key, status=answer.status_code, text=answer.text[:300])
        return False

    def look(self, ask: Ask) -> Body | None:
        """Read a subject; None if the API does not answer."""
        try:
            answer = self._http.get(ask.address, timeout=30)
        except httpx2.HTTPError:
            return None
        if answer.status_code >= 500:
            return None
        found: Body = answer.raise_for_status().json()
        return {name: value for name, value in found.items() if name not in ALIVE}

    def watch(self, asks: list[Ask]) -> None:
        """Look at everything that is open, and write down what ends."""
        for ask in asks:
            if ask.open and (found := self.look(ask)) is not None and found["status"] not in LIVE:
                ask.ended = found
                self.history.add("ended", kind=ask.kind, ids=ask.ids, status=found["status"])


def _ids(ask: Ask, answer: Body) -> list[str]:
    if ask.kind == "import":
        return [str(one) for one in answer["ids"]]
    if ask.kind == "check":
        return [answer["name"]]
    return [answer["id"]]
