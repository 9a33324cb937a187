"""Crowds of clients at once, and 200 mixed ones for a minute: what is answered, what is refused, what readiness says.

`python -m bench.load`; `python -m bench.load 200 1000` for crowds alone. Each server is `gapcast serve` on a fresh
database: SQLite, and PostgreSQL where one answers. The clients are asyncio's, on the same machine.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.databases import each_database
from bench.watchers import processor_seconds
from tests.support.product import children_of, serving

CROWDS = (40, 80, 200, 1000)
MIXED = 200
SECONDS = 60.0
PATIENCE = 5.0
"""seconds: no answer may take longer, and so soon after the end the server is as before"""
STORED = 60
"""predictions: three pages of them"""
GIVEN = {
    "model": {"name": "m", "family": "qwen3"},
    "task": "t",
    "context": {"kind": "feedback"},
    "gap": {"value": 0.2, "se": 0.02, "student": 0.4},
}
REFUSED = 503


class Answer(NamedTuple):
    """One request: its status (0: no answer), whether it says when to come again, its seconds, and what it was."""

    status: int
    retries: bool
    seconds: float
    kind: str


class Connection:
    """A kept connection that speaks just enough HTTP: a whole client would take more processor time than the server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, kind: str, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request and read its answer."""
        began = time.perf_counter()
        try:
            status, found = await asyncio.wait_for(self._ask(method, path, body, headers), 60)
        except (OSError, EOFError, TimeoutError):
            self.close()
            return Answer(0, False, time.perf_counter() - began, kind)
        return Answer(status, "retry-after" in found, time.perf_counter() - began, kind)

    async def _ask(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str]]:
        reader, writer = self._streams = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(content)}"]
        lines += ["Content-Type: application/json"] * bool(content)
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        await reader.readexactly(int(found.get("content-length", 0)))
        if found.get("connection") == "close":
            self.close()
        return int(first.split()[1]), found

    def close(self) -> None:
        """Let the next request open another one."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def crowd(port: int, clients: int) -> list[Answer]:
    """Ask for a list from so many clients at once."""

    async def one() -> Answer:
        connection = Connection(port)
        answer = await connection.ask("list", "GET", "/v1/predictions?limit=20")
        connection.close()
        return answer

    return await asyncio.gather(*(one() for _ in range(clients)))


async def mixed(port: int, known: str) -> list[Answer]:
    """Ask for a minute from 200 clients, of which a third each lists, reads, and posts; who is refused waits 1 s."""
    answers: list[Answer] = []
    deadline = time.perf_counter() + SECONDS

    async def one(number: int) -> None:
        connection = Connection(port)
        while time.perf_counter() < deadline:
            if number % 3 == 0:
                answer = await connection.ask("list", "GET", "/v1/predictions?limit=20")
            elif number % 3 == 1:
                answer = await connection.ask("get", "GET", f"/v1/predictions/{known}")
            else:
                answer = await connection.ask(
                    "post", "POST", "/v1/predictions", GIVEN, Idempotency_Key=uuid.uuid4().hex
                )
            answers.append(answer)
            if answer.status == REFUSED:
                await asyncio.sleep(1)
        connection.close()

    await asyncio.gather(*(one(number) for number in range(MIXED)))
    return answers


async def watched(port: int, work: Awaitable[list[Answer]]) -> tuple[list[Answer], list[Answer]]:
    """Do the work, and meanwhile ask for the health four times a second, as a supervisor would."""
    health: list[Answer] = []

    async def watch(path: str) -> None:
        connection = Connection(port)
        while True:
            health.append(await connection.ask(path, "GET", path))
            await asyncio.sleep(0.25)

    watchers = [asyncio.create_task(watch(path)) for path in ("/healthz", "/readyz")]
    try:
        return await work, health
    finally:
        for watcher in watchers:
            watcher.cancel()


async def recovery(port: int, usual: float) -> float:
    """Seconds until five lists in a row are answered within four times the usual (a fifth of a second at least)."""
    began, quick = time.perf_counter(), 0
    while quick < 5:
        answer = (await crowd(port, 1))[0]
        quick = quick + 1 if answer.status == 200 and answer.seconds < max(4 * usual, 0.2) else 0
        if time.perf_counter() - began > 60:
            return float("inf")
    return time.perf_counter() - began


def report(name: str, answers: list[Answer], health: list[Answer], recovered: float) -> None:
    """Print what was answered, and if it is as it must be."""
    wrong = [one for one in answers if one.status not in {200, REFUSED} or (one.status == REFUSED and not one.retries)]
    slow = [one for one in answers if one.seconds > PATIENCE]
    good = not wrong and not slow and recovered <= PATIENCE
    verdict = "as it must be" if good else f"{len(wrong)} WRONG, {len(slow)} SLOW"
    print(f"  {name}: {verdict}; as before {recovered:.1f} s after", flush=True)
    by: dict[tuple[str, int], list[float]] = defaultdict(list)
    for one in (*answers, *health):
        by[one.kind, one.status].append(one.seconds)
    for (kind, status), seconds in sorted(by.items()):
        middle, high = statistics.median(seconds), sorted(seconds)[int(0.99 * (len(seconds) - 1))]
        print(f"    {kind:8} {status:3} {len(seconds):6}  p50 {middle:6.3f} p99 {high:6.3f} most {max(seconds):6.3f} s")


def measure(database: str, settings: Mapping[str, str], crowds: list[int], *, minute: bool) -> None:
    """Start a server and send it one crowd after the other."""
    print(f"{database}:")
    quiet = {"GAPCAST_WORKER": "off", "GAPCAST_LOG_LEVEL": "error"}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), quiet | dict(settings)) as (client, server):
        known = [client.predictions.create(GIVEN).id for _ in range(STORED)][-1]
        port = int(client.url.rpartition(":")[2])
        usual = statistics.median(asyncio.run(crowd(port, 1))[0].seconds for _ in range(9))
        print(f"  one list alone: {1000 * usual:.0f} ms")

        def used() -> float:
            parent = server.process.pid
            return sum(processor_seconds(pid) for pid in (parent, *children_of(parent)))

        def run(name: str, make: Callable[[], Awaitable[list[Answer]]]) -> None:
            async def whole() -> None:
                before, began = used(), time.perf_counter()
                answers, health = await watched(port, make())
                share = (used() - before) / (time.perf_counter() - began)
                report(f"{name}, the server had {share:.2f} of a core", answers, health, await recovery(port, usual))

            asyncio.run(whole())

        for clients in crowds:
            run(f"{clients} lists at once", lambda clients=clients: crowd(port, clients))
        if minute:
            run(f"{MIXED} mixed clients for {SECONDS:g} s", lambda: mixed(port, known))


def main() -> None:
    """Measure on SQLite and on PostgreSQL."""
    crowds = [int(one) for one in sys.argv[1:]] or list(CROWDS)
    for database, settings in each_database():
        measure(database, settings, crowds, minute=len(sys.argv) == 1)


if __name__ == "__main__":
    main()
