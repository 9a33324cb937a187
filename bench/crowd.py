"""Many lists at once: how many are answered, how many are refused at once, and how long the slowest takes.

`python -m bench.crowd [CLIENTS]`; status 0 is a client that gave up after two minutes.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx2

from tests.support.product import serving

CLIENTS = 200
STORED = 60
"""predictions: three pages of them"""
GIVEN = {
    "model": {"name": "m", "family": "qwen3"},
    "task": "t",
    "context": {"kind": "feedback"},
    "gap": {"value": 0.2, "se": 0.02, "student": 0.4},
}


async def crowd(url: str, clients: int) -> list[tuple[int, float]]:
    """Status and seconds of each list."""
    limits = httpx2.Limits(max_connections=clients)
    async with httpx2.AsyncClient(base_url=url, timeout=120, limits=limits) as client:

        async def one() -> tuple[int, float]:
            began = time.perf_counter()
            try:
                status = (await client.get("/v1/predictions", params={"limit": 20})).status_code
            except httpx2.TransportError:
                status = 0
            return status, time.perf_counter() - began

        return await asyncio.gather(*(one() for _ in range(clients)))


def main() -> None:
    """Measure on SQLite, and on PostgreSQL where GAPCAST_DATABASE_URL names one."""
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else CLIENTS
    url = os.environ.get("GAPCAST_DATABASE_URL")
    with tempfile.TemporaryDirectory() as folder:
        settings = {"GAPCAST_WORKER": "off", "GAPCAST_LOG_LEVEL": "error"}
        with serving(Path(folder), settings | ({"GAPCAST_DATABASE_URL": url} if url else {})) as (client, _):
            for _ in range(STORED):
                client.predictions.create(GIVEN)
            found = asyncio.run(crowd(client.url, clients))
            began = time.perf_counter()
            client.predictions.list()
            after = time.perf_counter() - began
    print(f"{'PostgreSQL' if url else 'SQLite'}, {clients} lists at once:")
    for status, count in sorted(Counter(status for status, _ in found).items()):
        slowest = max(seconds for one, seconds in found if one == status)
        print(f"  {status}: {count}, the slowest after {slowest:.2f} s")
    print(f"  the next one: {1000 * after:.0f} ms")


if __name__ == "__main__":
    main()
