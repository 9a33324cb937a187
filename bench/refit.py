"""A POST while a pool of 5,000 observations is fitted again and again, against one without: paired, in one run.

`python -m bench.refit`; the server is `gapcast serve` on SQLite, and on PostgreSQL where one answers.
"""

import json
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import httpx2

from bench.databases import each_database
from tests.support.product import serving

ROWS, FAMILIES = 5_000, 50
PAIRS, AT_A_TIME = 6, 10
GATE = 3.0
GIVEN = {
    "model": {"name": "m", "family": "qwen3"},
    "task": "t",
    "context": {"kind": "feedback"},
    "gap": {"value": 0.2, "se": 0.02, "student": 0.4},
    "pool": "lab",
}


def row(number: int, pool: str) -> dict[str, object]:
    """A made-up run: about four fifths of its gap, and noise that does not follow its number."""
    gap, noise = 0.02 + number * 37 % 997 / 3000, (number * 7919 % 613 / 613 - 0.5) / 10
    return {
        "pool": pool,
        "family": f"family-{number % FAMILIES}",
        "task": "t",
        "model": "m",
        "context_kind": "hints",
        "baseline": 0.3,
        "gap": {"value": gap, "se": 0.02},
        "improvement": {"value": 0.8 * gap + noise, "se": 0.03},
    }


def post(client: httpx2.Client, path: str, body: object) -> float:
    """Seconds of one POST that is stored."""
    began = time.perf_counter()
    client.post(path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex}).raise_for_status()
    return time.perf_counter() - began


class Refits:
    """Fits the large pool again and again, in the server, while it is on."""

    def __init__(self, url: str) -> None:
        self._client = httpx2.Client(base_url=url, timeout=120)
        self._on, self._ends = threading.Event(), False
        self.seconds: list[float] = []
        self._thread = threading.Thread(target=self._keep_on)
        self._thread.start()

    def _keep_on(self) -> None:
        while not self._ends:
            if self._on.wait(0.1):
                began = time.perf_counter()
                self._client.post("/v1/fits", json={"pool": "large"}).raise_for_status()
                self.seconds.append(time.perf_counter() - began)

    def switch(self, *, on: bool) -> None:
        """Begin, or end after the fit at hand."""
        if on:
            self._on.set()
        else:
            self._on.clear()
        time.sleep(0.3)

    def end(self) -> None:
        """Stop for good."""
        self._ends = True
        self._thread.join()


def measure(database: str, settings: Mapping[str, str]) -> None:
    """Alternate between both, for each kind of POST."""
    quiet = {"GAPCAST_WORKER": "off", "GAPCAST_LOG_LEVEL": "error"}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), quiet | dict(settings)) as (found, _),
        httpx2.Client(base_url=found.url, timeout=120) as client,
    ):
        lines = "".join(json.dumps(row(number, "large")) + "\n" for number in range(ROWS))
        headers = {"Content-Type": "application/x-ndjson"}
        client.post("/v1/observations", content=lines, headers=headers).raise_for_status()
        client.get("/v1/fits/current", params={"pool": "large"}).raise_for_status()
        refits = Refits(found.url)
        numbers = iter(range(10**9))
        kinds = {
            "a prediction of a given gap": lambda: post(client, "/v1/predictions", GIVEN),
            "an observation": lambda: post(client, "/v1/observations", {"observations": [row(next(numbers), "small")]}),
        }
        try:
            for kind, ask in kinds.items():
                times: dict[bool, list[float]] = {False: [], True: []}
                for _ in range(PAIRS):
                    for on in (False, True):
                        refits.switch(on=on)
                        times[on] += [ask() for _ in range(AT_A_TIME)]
                without, during = (1000 * statistics.median(times[on]) for on in (False, True))
                most = 1000 * max(times[True])
                print(
                    f"{database}, {kind}: p50 {without:.0f} ms, {during:.0f} ms while a fit is made (most {most:.0f}): "
                    f"{during / without:.2f}x (gate {GATE:g})",
                    flush=True,
                )
                refits.switch(on=False)
        finally:
            refits.end()
        print(f"  {len(refits.seconds)} fits of {ROWS} rows, {statistics.median(refits.seconds):.1f} s each")


def main() -> None:
    """Measure on SQLite and on PostgreSQL."""
    for database, settings in each_database():
        measure(database, settings)


if __name__ == "__main__":
    main()
